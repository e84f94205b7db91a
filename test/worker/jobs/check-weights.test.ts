import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkWeights } from '../../../worker/jobs/check-weights.js';
import { layOutState } from '../../../worker/model/layout.js';
import { describeNetwork, volume } from '../../../worker/model/parameters.js';
import { writeSafetensors } from '../../../worker/model/weights/safetensors.js';
import { temporaryFolder } from '../../support/tiny-run.js';

const network = { arch: 'resnet18', head: 'fastai' } as const;

function write({ prefix = '', classes = 0 } = {}): string {
  const { parameters, statistics } = layOutState(describeNetwork('resnet18', Math.max(1, classes)));
  const tensors = [...parameters, ...statistics]
    .filter(({ name }) => classes > 0 || !name.startsWith('head.'))
    .map(({ name, shape }) => ({ name: `${prefix}${name}`, shape, values: new Float32Array(volume(shape)) }));
  const file = path.join(temporaryFolder(), 'weights.safetensors');
  writeFileSync(file, Buffer.concat([...writeSafetensors(tensors)]));
  return file;
}

describe('checkWeights', () => {
  it('tells what a run would take, and from where', async () => {
    const plain = { tensors: 100, place: '', copies: [], headClasses: null };
    await expect(checkWeights({ path: write(), ...network })).resolves.toEqual(plain);
    const prefixed = write({ prefix: 'module.', classes: 37 });
    await expect(checkWeights({ path: prefixed, ...network })).resolves.toEqual({
      ...{ tensors: 112, place: 'module.', copies: [], headClasses: 37 },
    });
  });

  it('refuses what workers would refuse, naming the file', async () => {
    const file = write();
    await expect(checkWeights({ path: file, ...network, arch: 'resnet34' })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(
        /weights\.safetensors does not fit this network: missing: layer1\.2\.conv1/,
      ),
    });
    truncateSync(file, 1_000_000);
    await expect(checkWeights({ path: file, ...network })).rejects.toMatchObject({
      code: 'data-loss',
      message: expect.stringContaining(`${file} is not a whole safetensors file`),
    });
  });

  it('refuses a folder', async () => {
    await expect(checkWeights({ path: temporaryFolder(), ...network })).rejects.toThrow('is a folder');
  });
});
