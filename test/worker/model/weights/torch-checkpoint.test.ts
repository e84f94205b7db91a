import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readWeights } from '../../../../worker/model/weights/read-weights.js';
import { runPython, whyWithout } from '../../../support/python-with-torch.js';
import { temporaryFolder } from '../../../support/tiny-run.js';

const without = whyWithout('torch', 'torchvision');

const saveBothWays = `
import hashlib, json, sys, torch, torchvision
torch.manual_seed(1)
network = torchvision.models.resnet18(weights=None)
state = network.state_dict()
torch.save(state, sys.argv[1] + '/zip.pth')
torch.save(state, sys.argv[1] + '/legacy.pth', _use_new_zipfile_serialization=False)
torch.save({'epoch': 3, 'state_dict': dict(network.named_parameters())}, sys.argv[1] + '/nested.pth')
print(json.dumps({name: [list(t.shape), hashlib.sha256(t.numpy().tobytes()).hexdigest()] for name, t in state.items()}))
`;

it.skipIf(without !== null)(
  `reads torchvision's resnet18 as torch.save writes it${without ? `: ${without}` : ''}`,
  () => {
    const folder = temporaryFolder();
    const expected = JSON.parse(runPython(saveBothWays, folder)) as Record<string, [number[], string]>;
    expect(Object.keys(expected)).toHaveLength(122);
    const read = (name: string) => {
      const tensors = [...readWeights(readFileSync(join(folder, name)), name)[0]!.tensors];
      return tensors.map(([tensor, { shape, values }]) => {
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        return [tensor, [shape, createHash('sha256').update(bytes).digest('hex')]];
      });
    };
    expect(Object.fromEntries(read('zip.pth'))).toEqual(expected);
    expect(Object.fromEntries(read('legacy.pth'))).toEqual(expected);
    const parameters = Object.entries(expected).filter(([name]) => !/running_|num_batches/.test(name));
    expect(read('nested.pth')).toEqual(parameters);
  },
);
