import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { layOutState } from '../../../../worker/model/layout.js';
import { describeNetwork, volume } from '../../../../worker/model/parameters.js';
import { findNetwork, overlayPretrained } from '../../../../worker/model/weights/load-pretrained.js';
import { readWeights } from '../../../../worker/model/weights/read-weights.js';
import { runPython, whyWithout } from '../../../support/python-with-torch.js';

const without = whyWithout('torch', 'torchvision', 'numpy');
const script = fileURLToPath(new URL('../../../support/wild-weights.py', import.meta.url));

/** Where resnet18 lies in each file. */
const places: Readonly<Record<string, string>> = {
  attributes: '',
  brain: 'model.',
  double: 'model.',
  ema: 'ema.shadow.module.backbone.',
  flat: '',
  half: 'model.',
  lightning: 'state_dict.model.',
  module: 'module.',
  net: 'net.',
  object: '',
  parameters: 'model.',
  'protocol-3': 'net.',
  'protocol-4': 'net.',
  'protocol-5': 'net.',
  script: '',
  wrapped: 'model.backbone.',
};

describe.skipIf(without !== null)(
  `checkpoints as PyTorch's training scripts write them${without ? ` (skipped: ${without})` : ''}`,
  () => {
    const layout = layOutState(describeNetwork('resnet18', 10));
    let folder: string;
    let expected: Record<'exact' | 'half' | 'brain', Record<string, string>>;

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'rondo-wild-'));
      expected = JSON.parse(runPython(readFileSync(script, 'utf8'), folder)) as typeof expected;
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    it('gives up its body, bit for bit, whatever lies beside it', () => {
      const files = readdirSync(folder);
      expect(new Set(files.map((name) => name.split('.')[0]))).toEqual(new Set(Object.keys(places)));
      for (const name of files) {
        const kind = name.split('.')[0]!;
        const dicts = readWeights(readFileSync(join(folder, name)), name);
        expect(findNetwork(dicts, layout), name).toMatchObject({ place: places[kind], copies: [] });
        const state = new Float32Array(layout.length);
        overlayPretrained(state, layout, dicts, name);
        const body = [...layout.parameters, ...layout.statistics].filter(
          (spec) => !spec.name.startsWith('head.'),
        );
        const found = body.map(({ name: tensor, shape, offset }) => {
          const values = state.subarray(offset, offset + volume(shape));
          const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
          return [tensor, createHash('sha256').update(bytes).digest('hex')];
        });
        expect(Object.fromEntries(found), name).toEqual(expected[kind as 'half'] ?? expected.exact);
      }
    });
  },
);
