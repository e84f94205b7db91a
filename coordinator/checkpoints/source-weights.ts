import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { RunConfig } from '../../plan/run-config.js';
import { writeDurably } from '../../runtime/durable-file.js';
import {
  encodeSafetensorsHeader,
  safetensorsJsonBytes,
  safetensorsLengthBytes,
} from '../../runtime/safetensors.js';
import type { CheckpointRecord } from './checkpoint-file.js';
import type { StartingWeights } from './pretrained.js';
import type { SourceRun } from './source-run.js';

type Tensor = CheckpointRecord['tensors'][number];

/** Whether a head of `source` means the same in `config`: the classes agree by name and order. */
export function headFits(source: RunConfig, config: RunConfig): boolean {
  return source.head === config.head && isDeepStrictEqual(source.classes, config.classes);
}

/**
 * Writes what a new run takes over from a checkpoint as a safetensors file at `path`: parameters and running
 * statistics (their moving averages, where the run kept these), no moments, and the head's only when
 * `withHead`.
 */
export async function writeSourceWeights(
  path: string,
  { checkpoint }: SourceRun,
  withHead: boolean,
): Promise<StartingWeights> {
  const tensors = chooseTensors(checkpoint.record.tensors, withHead);
  const file = await open(checkpoint.state, 'r');
  try {
    const dataStart = await findDataStart(file, checkpoint.state);
    const values: Uint8Array[] = [];
    for (const tensor of tensors) values.push(await readTensor(file, dataStart, tensor));
    const header = encodeSafetensorsHeader(
      tensors.map(({ name, shape }) => ({ name, shape, dtype: 'F32' })),
      { format: 'pt' },
    );
    const hash = createHash('sha256');
    for (const part of [header, ...values]) hash.update(part);
    await writeDurably(path, [header, ...values]);
    return { path, digest: hash.digest('hex') };
  } finally {
    await file.close();
  }
}

function chooseTensors(tensors: readonly Tensor[], withHead: boolean): Tensor[] {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return tensors
    .filter(({ name }) => !/^(optimizer|average)\./.test(name) && (withHead || !/^(head|fc)\./.test(name)))
    .map((tensor) => ({ ...(byName.get(`average.${tensor.name}`) ?? tensor), name: tensor.name }));
}

async function findDataStart(file: FileHandle, path: string): Promise<number> {
  const { buffer } = await file.read(Buffer.alloc(safetensorsLengthBytes), 0, safetensorsLengthBytes, 0);
  return safetensorsLengthBytes + safetensorsJsonBytes(buffer, path);
}

async function readTensor(
  file: FileHandle,
  dataStart: number,
  { shape, offset }: Tensor,
): Promise<Uint8Array> {
  const bytes = 4 * shape.reduce((product, side) => product * side, 1);
  const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, dataStart + 4 * offset);
  return buffer;
}
