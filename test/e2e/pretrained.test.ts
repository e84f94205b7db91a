import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { layOutState } from '../../worker/model/layout.js';
import { describeNetwork, volume } from '../../worker/model/parameters.js';
import { writeSafetensors } from '../../worker/model/weights/safetensors.js';
import { runCoordinator } from '../support/coordinator-process.js';
import { readSummaryFile } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const runs = await openTinyRuns(10);
const { data } = runs;

it.each([
  ['evil.pth', /it asks for (posix|nt)\.system/],
  [
    'legacy.pth',
    /missing: bn1\.weight, .* not part of this network: half, .* of another shape: conv1\.weight/,
  ],
])('weights that cannot be used end the run as wrong input: %s', async (name, message) => {
  const file = fileURLToPath(new URL(`../support/weights/${name}`, import.meta.url));
  const inputs = runs.start(name.replace('.', '-'), data, '--pretrained', file, '--epochs', '1');
  const { code, stderr } = await runCoordinator(inputs);
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
});

/** Weights of 1e-3 in a network for three classes, but for those that are given. */
function writeWeights(name: string, given: Readonly<Record<string, number>>): string {
  const { parameters, statistics } = layOutState(describeNetwork('resnet18', 3));
  const tensors = [...parameters, ...statistics].map((spec) => {
    const values = new Float32Array(volume(spec.shape)).fill(given[spec.name] ?? 1e-3);
    return { name: spec.name, shape: spec.shape, values };
  });
  const file = path.join(runs.root, `${name}.safetensors`);
  writeFileSync(file, Buffer.concat([...writeSafetensors(tensors)]));
  return file;
}

it('weights that hold NaN are refused by name', async () => {
  const inputs = runs.start(
    'nan',
    data,
    '--pretrained',
    writeWeights('nan', { 'bn1.weight': Number.NaN }),
    '--epochs',
    '1',
  );
  const { code, stderr } = await runCoordinator(inputs);
  expect(stderr).toContain('weights that are NaN or infinite: bn1.weight');
  expect(code).toBe(2);
});

it('a run that never could change a weight fails, and predictions of its network are refused', async () => {
  // Finite, but what the network makes of them is not.
  const recipe = [
    '--pretrained',
    writeWeights('huge', { 'head.6.bias': 1, 'head.8.weight': 3e38 }),
    '--freeze-epochs',
    '0',
    '--epochs',
    '1',
  ];
  const { code, stderr } = await runCoordinator(runs.start('huge', data, ...recipe));
  expect(stderr).toContain('nothing was trained: all 2 steps were skipped');
  expect(code).toBe(1);
  const summary = readSummaryFile(runs.run('huge'));
  expect(summary).toMatchObject({ status: 'failed', steps: 2, skippedSteps: 2 });
  const image = path.join(data, 'blue', '000.jpg');
  const predicted = await runCoordinator(['predict', runs.run('huge'), image]);
  expect(predicted.stderr).toMatch(/warning: 2 of the 2 steps before epoch-0000 were skipped/);
  expect(predicted.stderr).toContain('probabilities that are not finite');
  expect(predicted.code).toBe(3);
});
