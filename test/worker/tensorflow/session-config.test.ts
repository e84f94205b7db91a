import { expect, test } from 'vitest';
import { allocateSumMemory } from '../../../worker/arithmetic/reduction-vector.js';
import { openProgram, type ProgramOptions } from '../../../worker/model/program.js';
import { loadBinding } from '../../../worker/tensorflow/binding.js';
import { sessionConfigVariable } from '../../../worker/tensorflow/session-config.js';
import { keyedBatches } from '../../support/tensorflow/keyed-batches.js';
import { plausibleState } from '../../support/tensorflow/model-state.js';
import { sameBits } from '../../support/tensorflow/same-bits.js';

const options: ProgramOptions & { input?: 'pixels' } = {
  arch: 'resnet18',
  classes: 5,
  size: 33,
  presize: 40,
  precision: 'float32',
  dropout: [0.25, 0.5],
  trainable: ['all'],
  weightDecay: 0.01,
  averaged: true,
};

/** What a session computes whose options are `config`, or TensorFlow's own. */
function stepAndEvaluate(config: string | undefined) {
  delete process.env[sessionConfigVariable];
  if (config !== undefined) process.env[sessionConfigVariable] = config;
  const program = openProgram(options);
  program.load(plausibleState(program.state));
  const { length, gradients, parts } = program.reduction('all');
  const { vector, own } = allocateSumMemory(length);
  const batches = keyedBatches(options, [6, 4]);
  const largest = new Float32Array(gradients.length).fill(50);
  const request = { trainable: 'all', microBatches: 2, largest, vector, own } as const;
  for (const part of parts.keys()) program.gradientPart(part, batches, request);
  const sums = vector.slice();
  const summary = program.sumAlone(batches, request);
  const { verdict, ...found } = program.finishSum([summary]);
  expect(verdict).toBe('fits');
  const rates = { learningRates: [1e-3, 1e-3, 1e-3], momentum: 0.9, averageDecay: 0.9 };
  program.apply(vector, { ...found, ...rates, trainable: 'all' });
  const { losses, probabilities } = program.evaluate(batches[0]!.batch);
  const state = program.save();
  program.close();
  return { sums, state, losses, probabilities };
}

test.skipIf(loadBinding().isUsingGpuDevice())(
  'on a CPU a session computes the same bits as one with TensorFlow’s own options',
  () => {
    const config = process.env[sessionConfigVariable];
    expect(config).toMatch(/^([0-9a-f]{2})+$/);
    const [own, configured] = [stepAndEvaluate(undefined), stepAndEvaluate(config)];
    for (const key of ['sums', 'state', 'losses', 'probabilities'] as const) {
      expect(sameBits(configured[key], own[key]), key).toBe(true);
    }
  },
);
