import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { lighting, projectiveTransform } from '../../plan/augmentation.js';
import { storedShape } from '../../plan/stored-image.js';
import { testTimeViews } from '../../plan/test-time.js';
import { createDecodePool } from '../../runtime/images.js';
import { decodeImage } from '../../worker/data/decode.js';
import { readNetworkState } from '../../worker/jobs/checkpoint-tensors.js';
import { openProgram } from '../../worker/model/program.js';
import { runCoordinator } from '../support/coordinator-process.js';
import { openTrainedRun, probabilitiesOf } from '../support/predictions.js';
import { light, normalize, warp } from '../support/tensorflow/reference-augmentation.js';

const [size, presize] = [32, 36];
const runs = await openTrainedRun();
const { data, predict } = runs;

it('predictions with --tta blend nine views, as a reference in float64 does', async () => {
  const file = path.join(data, 'green', '003.jpg');
  const { code, told, stderr, byKind } = await predict('--checkpoint', 'epoch-0001', '--tta', file);
  expect(code, stderr).toBe(0);
  expect(byKind('summary')).toMatchObject([{ predicted: 1, tta: true }]);
  const { pixels, width, height } = await decodeImage(readFileSync(file), presize, createDecodePool());
  const stored = storedShape(width / height, presize);
  const square = { size: presize, rows: stored.rows, channels: 3, values: pixels };
  const shown = testTimeViews('fastai', 3).map((view) => {
    const transform = projectiveTransform(view, width / height, presize, size);
    const [shift, scale] = lighting(view);
    return warp(square, transform, size).map((value, index) =>
      normalize(light(value / 255, [shift, scale]), index % 3),
    );
  });
  const network = openProgram({
    ...{ arch: 'resnet18', classes: 3, size, presize: size, precision: 'float32', dropout: [0, 0] },
    ...{ trainable: [], weightDecay: 0, input: 'normalized' },
  });
  const state = path.join(runs.run('tiny'), 'checkpoints', 'epoch-0001', 'state.safetensors');
  network.load(await readNetworkState(state, network.state));
  const rows = network.predict({ pixels: Float32Array.from(shown.flat()) });
  network.close();
  const expected = [0, 1, 2].map((label) => {
    const [plain, ...others] = Array.from({ length: 9 }, (_, view) => rows[3 * view + label]!);
    return 0.4 * plain! + 0.6 * (others.reduce((sum, value) => sum + value, 0) / 8);
  });
  probabilitiesOf(told[0]!).forEach((probability, label) => {
    expect(probability).toBeCloseTo(expected[label]!, 3);
  });
  const once = await predict('--checkpoint', 'epoch-0001', file);
  expect(probabilitiesOf(once.told[0]!)[0]).toBeCloseTo(rows[0]!, 3);
  expect(probabilitiesOf(once.told[0]!)).not.toEqual(probabilitiesOf(told[0]!));

  // Evaluation gives an image what prediction gives it.
  const interpreted = await runCoordinator([
    ...['interpret', 'tiny', '--run-dir', runs.root, '--tta', '--workers', '2'],
  ]);
  expect(interpreted.code, interpreted.stderr).toBe(0);
  expect(interpreted.stdout).toContain('report:');
  const lines = readFileSync(path.join(runs.run('tiny'), 'report', 'predictions.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const judged = lines.map(
    (line) => JSON.parse(line) as { path: string; actual: string; probability: number },
  );
  const again = await predict('--tta', ...judged.map((each) => path.join(data, each.path)));
  judged.forEach(({ actual, probability }, index) => {
    const own = again.told[index]!.top.find((entry) => entry.class === actual)!;
    expect(own.probability).toBeCloseTo(probability, 5);
  });
});
