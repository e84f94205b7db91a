import { open } from 'node:fs/promises';
import type { CheckedWeights, CheckWeightsRequest } from '../../proto/jobs.js';
import { RondoError } from '../../runtime/errors.js';
import { layOutState } from '../model/layout.js';
import { describeNetwork } from '../model/parameters.js';
import { findNetwork, fitNetwork, type NetworkWeights } from '../model/weights/load-pretrained.js';
import { readWeights } from '../model/weights/read-weights.js';

/** Longer reads are refused by the system. */
const mostBytesAtOnce = 1 << 30;

/** Reads a weights file as workers will, and throws what they would. */
export async function checkWeights({ path, arch, head }: CheckWeightsRequest): Promise<CheckedWeights> {
  const dicts = readWeights(await readWhole(path), path);
  const bodyOnly = layOutState(describeNetwork(arch, 1, head));
  const headClasses = countClasses(findNetwork(dicts, bodyOnly));
  const layout = layOutState(describeNetwork(arch, headClasses ?? 1, head));
  const network = findNetwork(dicts, layout);
  const { place, copies } = network;
  return { tensors: fitNetwork(layout, network, path).length, place, copies, headClasses };
}

/** torchvision's classifier does not count: it is left out where it does not fit. */
function countClasses({ tensors }: NetworkWeights): number | null {
  return tensors.get('head.8.weight')?.shape[0] ?? null;
}

async function readWhole(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const stat = await file.stat();
    if (!stat.isFile()) {
      throw new RondoError('invalid-argument', `${path} is ${stat.isDirectory() ? 'a folder' : 'no file'}.`, {
        remedy: 'Give the file of weights itself.',
      });
    }
    const bytes = Buffer.alloc(stat.size);
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await file.read(bytes, at, Math.min(bytes.length - at, mostBytesAtOnce), at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}
