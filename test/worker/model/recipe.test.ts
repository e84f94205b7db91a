import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { sampleLoss } from '../../../plan/criterion.js';
import { drawMixup, type Mixup } from '../../../plan/mixup.js';
import { beginAverage, initialState } from '../../../worker/model/initialize.js';
import { volume } from '../../../worker/model/parameters.js';
import { type NormalizedBatch, openProgram, type ProgramOptions } from '../../../worker/model/program.js';
import { plausibleState } from '../../support/tensorflow/model-state.js';
import { norm, randomValues, relativeDistance } from '../../support/tensorflow/random-values.js';

const [classes, size, count] = [3, 64, 6];
const base = {
  arch: 'resnet18',
  classes,
  size,
  presize: size,
  precision: 'float32',
  dropout: [0, 0],
  trainable: ['all', 'frozen'],
  weightDecay: 0.01,
  input: 'normalized',
} as const satisfies ProgramOptions;
const classWeights = [0.5, 2, 1.25];

const plain = openProgram(base);
const rich = openProgram({ ...base, classWeights, mixup: true, clipNorm: 1e-3, averaged: true });
afterAll(() => {
  plain.close();
  rich.close();
});

const batch: NormalizedBatch = {
  pixels: randomValues(count * size * size * 3, 3).map((value) => 2 * value),
  labels: Int32Array.of(0, 1, 2, 2, 1, 0),
};
/** One share for all, so that a mixture's loss is one of two plain losses. */
const mixup: Mixup = {
  shares: new Float32Array(count).fill(0.75),
  partners: Int32Array.of(3, 0, 1, 5, 2, 4),
};
const unmixed: Mixup = { shares: new Float32Array(count).fill(1), partners: mixup.partners };
const key = [0, 0] as const;
const update = { learningRates: [1e-3, 2e-3, 3e-3], momentum: 0.9 };

const plainState = plausibleState(plain.state);
const richState = new Float32Array(rich.state.length);
richState.set(plainState);
beginAverage(richState, rich.state);
beforeEach(() => {
  plain.load(plainState);
  rich.load(richState);
});

function plainGradients(given: NormalizedBatch): Float32Array {
  const vector = new Float32Array(plain.reduction('all').length);
  plain.gradients([{ batch: given, key }], 'all', vector);
  return vector;
}

function richGradients(mixing: Mixup, trainable: 'all' | 'frozen' = 'all'): Float32Array {
  const vector = new Float32Array(rich.reduction(trainable).length);
  rich.gradients([{ batch, key, mixup: mixing }], trainable, vector);
  return vector;
}

/** Every 97th value: eleven million take the test runner long. */
const thin = (values: Float32Array) =>
  Float32Array.from({ length: Math.ceil(values.length / 97) }, (_, index) => values[97 * index]!);

const sameBits = (a: Float32Array, b: Float32Array) =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));

describe('class weights', () => {
  test('have their sum at the vector’s end, summed over micro-batches', () => {
    const layout = rich.reduction('all');
    const vector = new Float32Array(layout.length);
    const piece = { batch, key, mixup: unmixed };
    rich.gradients([piece, piece, piece], 'all', vector);
    expect(layout.tail.weight).toBe(layout.tail.microBatches + 1);
    expect(vector[layout.tail.weight]).toBeCloseTo(3 * 2 * (0.5 + 2 + 1.25), 5);
    expect(vector[layout.tail.samples]).toBe(18);
  });

  test('of samples one by one make up the weighted loss', () => {
    const { tail } = rich.reduction('all');
    const [, one] = [0, 1, 2].map((label) => ({ ...batch, labels: new Int32Array(count).fill(label) }));
    const expected = plainGradients(one!)[tail.lossSum]! * classWeights[1]!;
    const vector = new Float32Array(rich.reduction('all').length);
    rich.gradients([{ batch: one!, key, mixup: unmixed }], 'all', vector);
    expect(vector[tail.lossSum]! / expected).toBeCloseTo(1, 5);
    expect(vector[tail.weight]).toBe(count * classWeights[1]!);
  });
});

describe('mixup', () => {
  test('is a plain step on images mixed by hand', () => {
    const side = size * size * 3;
    const pixels = batch.pixels.map((value, at) => {
      const partner = mixup.partners[Math.floor(at / side)]!;
      return 0.75 * value + 0.25 * batch.pixels[partner * side + (at % side)]!;
    });
    const { tail, gradientLength } = plain.reduction('all');
    const labels = new Int32Array(count).fill(1);
    const vector = new Float32Array(rich.reduction('all').length);
    rich.gradients([{ batch: { ...batch, labels }, key, mixup }], 'all', vector);
    const expected = plainGradients({ pixels, labels });
    const weighted = thin(expected.subarray(0, gradientLength)).map((value) => value * classWeights[1]!);
    expect(relativeDistance(thin(vector.subarray(0, gradientLength)), weighted)).toBeLessThan(1e-4);
    const statistics = (from: Float32Array) => from.subarray(gradientLength, tail.lossSum);
    expect(relativeDistance(statistics(vector), statistics(expected))).toBeLessThan(1e-5);
    expect(vector[tail.lossSum]! / (classWeights[1]! * expected[tail.lossSum]!)).toBeCloseTo(1, 5);
  });

  test('depends on the shares and the partners that are drawn', () => {
    const drawn = drawMixup(0.4, 1, { step: 0, microBatch: 0, count });
    const found = thin(richGradients(drawn));
    const others = [unmixed, mixup, { ...drawn, partners: mixup.partners }];
    for (const other of others)
      expect(relativeDistance(thin(richGradients(other)), found)).toBeGreaterThan(0.01);
  });
});

describe('clipping', () => {
  test.each(['all', 'frozen'] as const)('of %s is a plain update by a gradient of the norm', (trainable) => {
    const [layout, plainLayout] = [rich.reduction(trainable), plain.reduction(trainable)];
    const vector = richGradients(unmixed, trainable);
    const divisor = vector[layout.tail.weight]!;
    const squares = vector.subarray(0, layout.gradientLength).reduce((sum, value) => sum + value * value, 0);
    const length = Math.sqrt(squares) / divisor;
    expect(length).toBeGreaterThan(2e-3);
    const clipped = vector.slice(0, plainLayout.length);
    for (let k = 0; k < layout.gradientLength; k += 1)
      clipped[k]! *= (1e-3 / (length + 1e-6)) * (count / divisor);
    rich.apply(vector, { ...update, trainable });
    plain.apply(clipped, { ...update, trainable });
    const { first, parameterLength } = plain.state;
    const [found, expected] = [rich.save(), plain.save()];
    const [from, to] = [first[0]!.offset, plain.state.second[0]!.offset];
    const firsts = (state: Float32Array) => thin(state.subarray(from, to));
    expect(relativeDistance(firsts(found), firsts(expected))).toBeLessThan(1e-5);
    const values = (state: Float32Array) => thin(state.subarray(0, parameterLength));
    expect(relativeDistance(values(found), values(expected))).toBeLessThan(1e-5);
  });
});

describe('the moving average', () => {
  const { average, parameters, statistics, updates, evaluated } = rich.state;
  const networkLength = evaluated.end - evaluated.start;
  const averageOf = (state: Float32Array) => state.subarray(evaluated.start, evaluated.end);
  const networkOf = (state: Float32Array) => state.subarray(0, networkLength);

  test('lies behind the moments, of one parameter and statistic after the other', () => {
    expect(plain.state.average).toEqual([]);
    expect(plain.state.evaluated).toEqual({ start: 0, end: networkLength });
    expect(average.map(({ name }) => name)).toEqual(
      [...parameters, ...statistics].map(({ name }) => `average.${name}`),
    );
    expect(average[0]!.offset).toBe(plain.state.length);
    expect(rich.state.length).toBe(plain.state.length + networkLength);
  });

  test.each(['all', 'frozen'] as const)(
    'follows the parameters of %s, and the running statistics, by the share it is told',
    (trainable) => {
      let expected = Float64Array.from(thin(networkOf(plainState)));
      let statisticsExpected = Float64Array.from(statisticsOf(plainState, 0));
      for (const averageDecay of [0.1, 0.9, 0.99]) {
        rich.apply(richGradients(unmixed, trainable), { ...update, trainable, averageDecay });
        const now = rich.save();
        const follow = (before: Float64Array, values: Float32Array) =>
          before.map((value, k) => averageDecay * value + (1 - averageDecay) * values[k]!);
        expected = follow(expected, thin(networkOf(now)));
        statisticsExpected = follow(statisticsExpected, statisticsOf(now, 0));
      }
      const after = rich.save();
      const found = thin(averageOf(after));
      expect(relativeDistance(found, expected)).toBeLessThan(1e-6);
      expect(relativeDistance(found, thin(networkOf(plainState)))).toBeGreaterThan(1e-4);
      const averaged = statisticsOf(after, evaluated.start);
      expect(relativeDistance(averaged, statisticsExpected)).toBeLessThan(1e-6);
      expect(relativeDistance(averaged, statisticsOf(after, 0))).toBeGreaterThan(1e-4);
    },
  );

  function statisticsOf(state: Float32Array, networkStart: number): Float32Array {
    return state.subarray(networkStart + statistics[0]!.offset, networkStart + networkLength);
  }

  test('leaves what is not trained as it was, bit for bit', () => {
    rich.apply(richGradients(unmixed, 'frozen'), { ...update, trainable: 'frozen', averageDecay: 0.37 });
    const state = rich.save();
    average.forEach(({ offset, shape }, index) => {
      if (shape.length !== 4) return;
      const from = parameters[index]!.offset;
      const [found, was] = [
        state.subarray(offset, offset + volume(shape)),
        richState.subarray(from, from + volume(shape)),
      ];
      expect(sameBits(found, was)).toBe(true);
    });
  });

  test('is what evaluation sees, running statistics included', () => {
    rich.apply(richGradients(unmixed), { ...update, trainable: 'all', averageDecay: 0.5 });
    const state = rich.save();
    const trained = rich.logits(batch);
    plain.load(state.subarray(0, plain.state.length));
    expect(relativeDistance(plain.logits(batch), trained)).toBeGreaterThan(1e-3);
    const seen = state.slice(0, plain.state.length);
    seen.set(averageOf(state));
    plain.load(seen);
    expect(sameBits(plain.logits(batch), trained)).toBe(true);
    expect(sameBits(plain.evaluate(batch).probabilities, rich.evaluate(batch).probabilities)).toBe(true);
  });

  test('goes in and out with the state, and moments are reset without it', () => {
    const marked = richState.map((_, index) => index % 89);
    rich.load(marked);
    expect(sameBits(rich.save(), marked)).toBe(true);
    rich.resetMoments();
    const state = rich.save();
    expect(sameBits(averageOf(state), averageOf(marked))).toBe(true);
    expect(
      state.subarray(rich.state.first[0]!.offset, updates.offset + 1).every((value) => value === 0),
    ).toBe(true);
  });

  test('begins with the first parameters and statistics', () => {
    const state = initialState(rich.state, 5);
    expect(sameBits(averageOf(state), networkOf(state))).toBe(true);
    expect(norm(thin(averageOf(state)))).toBeGreaterThan(0.1);
  });
});

describe('evaluation', () => {
  const criterion = { labelSmoothing: 0.1, classWeights };
  const judging = openProgram({ ...base, trainable: [], ...criterion });
  afterAll(() => judging.close());

  test('measures the training criterion, but mixes nothing', () => {
    judging.load(plainState);
    const found = judging.evaluate(batch);
    const rows = judging.predict(batch);
    batch.labels.forEach((label, sample) => {
      const row = rows.subarray(classes * sample, classes * (sample + 1));
      expect(found.losses[sample]).toBeCloseTo(sampleLoss(row, label, criterion), 4);
      expect(found.probabilities[sample]).toBeCloseTo(row[label]!, 6);
    });
    const weighted = rich.evaluate(batch);
    plain.evaluate(batch).losses.forEach((loss, sample) => {
      expect(weighted.losses[sample]).toBeCloseTo(loss * classWeights[batch.labels[sample]!]!, 4);
    });
  });

  test('says how many classes are likelier than the label', () => {
    const { labelRanks, predictions } = plain.evaluate(batch);
    const rows = plain.predict(batch);
    batch.labels.forEach((label, sample) => {
      const row = [...rows.subarray(classes * sample, classes * (sample + 1))];
      expect(labelRanks[sample]).toBe(row.filter((other) => other > row[label]!).length);
      expect(labelRanks[sample] === 0).toBe(predictions[sample] === label);
    });
  });
});
