import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { gradientOf } from '../../../worker/model/gradient-of.js';
import { volume } from '../../../worker/model/parameters.js';
import { openProgram } from '../../../worker/model/program.js';
import { adam } from '../../support/tensorflow/adam.js';
import { relativeDistance } from '../../support/tensorflow/random-values.js';
import { sameBits } from '../../support/tensorflow/same-bits.js';
import {
  classes,
  gradientsOf,
  options,
  pieces,
  program,
  state,
} from '../../support/tensorflow/small-program.js';

const [first, second] = pieces.map(({ batch }) => batch);

beforeEach(() => program.load(state));
afterAll(() => program.close());

describe('gradients', () => {
  test('of several micro-batches are the sum of single ones', () => {
    const { tail } = program.reduction('all');
    const singles = pieces.map((piece) => gradientsOf([piece]));
    const together = gradientsOf(pieces);
    const sum = singles[0]!.map((value, index) => value + singles[1]![index]! + singles[2]![index]!);
    expect(relativeDistance(together, sum)).toBeLessThan(1e-6);
    expect(together[tail.samples]).toBe(13);
    expect(together[tail.microBatches]).toBe(3);
    expect(together[tail.lossSum]).toBeGreaterThan(0);
  });

  test('of no micro-batch are zero', () => {
    expect(gradientsOf([]).every((value) => value === 0)).toBe(true);
  });

  test('are the same for the same key, bit for bit, whatever was computed between', () => {
    const once = gradientsOf([pieces[0]!]);
    gradientsOf([pieces[1]!, pieces[2]!]);
    expect(sameBits(gradientsOf([pieces[0]!]), once)).toBe(true);
  });

  test.each([[[1, 3]], [[2, 2]]] as const)('differ for the key %j: dropout', (key) => {
    const once = gradientsOf([pieces[0]!]);
    const other = gradientsOf([{ batch: first!, key }]);
    expect(relativeDistance(other, once)).toBeGreaterThan(0.01);
  });

  test('when frozen are those of the head and the batch norms, the same as in the full set', () => {
    const [all, frozen] = [program.reduction('all'), program.reduction('frozen')];
    const [full, partial] = [gradientsOf(pieces), gradientsOf(pieces, 'frozen')];
    for (const { name } of frozen.gradients) {
      const found = gradientOf(frozen, partial, name).values;
      expect(relativeDistance(found, gradientOf(all, full, name).values)).toBeLessThan(1e-5);
    }
    const rest = (vector: Float32Array, from: number) => vector.subarray(from);
    expect(
      relativeDistance(rest(partial, frozen.gradientLength), rest(full, all.gradientLength)),
    ).toBeLessThan(1e-6);
    expect(frozen.gradients.some(({ shape }) => shape.length === 4)).toBe(false);
  });

  test('change no state', () => {
    gradientsOf(pieces);
    expect(sameBits(program.save(), state)).toBe(true);
  });
});

describe('updates', () => {
  const update = { learningRates: [1e-3, 2e-3, 3e-3], momentum: 0.9 };

  test('follow Adam in every layer group, divided by the samples', () => {
    const layout = program.reduction('all');
    const vectors = [gradientsOf([pieces[0]!]), gradientsOf([pieces[1]!, pieces[2]!])];
    for (const vector of vectors) {
      program.apply(vector.slice(), { ...update, trainable: 'all' });
    }
    const after = program.save();
    for (const { name, offset, shape, group } of program.state.parameters) {
      const means = vectors.map((vector) => {
        const samples = vector[layout.tail.samples]!;
        return gradientOf(layout, vector, name).values.map((value) => value / samples);
      });
      const count = Math.min(volume(shape), 50);
      const expected = Array.from({ length: count }, (_, k) =>
        adam(
          state[offset + k]!,
          means.map((gradient) => gradient[k]!),
          { rate: update.learningRates[group]!, momentum: update.momentum, weightDecay: options.weightDecay },
        ),
      );
      expect(relativeDistance(after.subarray(offset, offset + count), expected)).toBeLessThan(1e-5);
    }
  });

  test('are counted in the state: Adam goes on where a state was saved', () => {
    const vectors = [gradientsOf([pieces[0]!]), gradientsOf([pieces[1]!])];
    const apply = (vector: Float32Array) => program.apply(vector.slice(), { ...update, trainable: 'all' });
    apply(vectors[0]!);
    const between = program.save();
    const { offset } = program.state.updates;
    expect([state[offset], between[offset]]).toEqual([0, 1]);
    apply(vectors[1]!);
    const straight = program.save();
    expect(straight[offset]).toBe(2);

    program.load(state);
    apply(vectors[0]!);
    program.load(between);
    apply(vectors[1]!);
    expect(sameBits(program.save(), straight)).toBe(true);

    program.resetMoments();
    expect(program.save()[offset]).toBe(0);
  });

  test('take values that are multiples of a unit, and note the largest of each gradient that has one', () => {
    const layout = program.reduction('all');
    const vector = gradientsOf([pieces[0]!]);
    program.apply(vector.slice(), { ...update, trainable: 'all' });
    const expected = program.save();
    const amaxOf = (saved: Float32Array) => [
      ...saved.subarray(program.state.amax.offset, program.state.amax.offset + program.state.amax.shape[0]!),
    ];
    expect(amaxOf(expected).every((value) => value === 0)).toBe(true);

    program.load(state);
    const units = new Float32Array(layout.gradients.length).map((_, index) => 2 ** (index % 5));
    const scaled = vector.slice();
    for (const [index, { offset }] of layout.gradients.entries()) {
      const end = layout.gradients[index + 1]?.offset ?? layout.gradientLength;
      for (let at = offset; at < end; at += 1) scaled[at]! /= units[index]!;
    }
    const largest = units.map((_, index) => (index === 3 ? 0 : index));
    program.apply(scaled, { ...update, trainable: 'all', units, largest });
    const found = program.save();
    const { length } = program.state;
    const { offset } = program.state.amax;
    expect(relativeDistance(found.subarray(0, offset), expected.subarray(0, offset))).toBeLessThan(1e-6);
    expect(length - offset).toBe(largest.length);
    const largestOf = new Map(layout.gradients.map(({ name }, index) => [name, largest[index]!]));
    expect(amaxOf(found)).toEqual(program.state.parameters.map(({ name }) => largestOf.get(name)));
    program.resetMoments();
    expect(amaxOf(program.save()).every((value) => value === 0)).toBe(true);
  });

  test('move the running statistics towards the mean over micro-batches', () => {
    const layout = program.reduction('frozen');
    const vector = gradientsOf(pieces, 'frozen');
    program.apply(vector, { ...update, trainable: 'frozen' });
    const after = program.save();
    program.state.statistics.forEach(({ offset, shape }, index) => {
      const from = layout.statistics[index]!.offset;
      const expected = Array.from(
        { length: shape[0]! },
        (_, k) => 0.9 * state[offset + k]! + (0.1 * vector[from + k]!) / 3,
      );
      expect(relativeDistance(after.subarray(offset, offset + shape[0]!), expected)).toBeLessThan(1e-6);
    });
  });

  test('leave a frozen body’s filters and their moments as they are, bit for bit', () => {
    program.apply(gradientsOf(pieces, 'frozen'), { ...update, trainable: 'frozen' });
    const after = program.save();
    const { parameters, first: means, second: squares } = program.state;
    parameters.forEach(({ offset, shape }, index) => {
      const places = [offset, means[index]!.offset, squares[index]!.offset];
      const same = places.map((from) => {
        const to = from + volume(shape);
        return sameBits(after.subarray(from, to), state.subarray(from, to));
      });
      expect(same).toEqual(Array(3).fill(shape.length === 4));
    });
  });

  test('lower the loss', () => {
    const { tail } = program.reduction('all');
    const losses = [1, 2, 3, 4, 5, 6].map(() => {
      const vector = gradientsOf([pieces[1]!]);
      program.apply(vector, { ...update, trainable: 'all' });
      return vector[tail.lossSum]!;
    });
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2);
  });
});

describe('evaluation', () => {
  test('tells of each sample its loss, prediction and the probability of its label', () => {
    const found = program.evaluate(second!);
    const probabilities = program.predict(second!);
    const logits = program.logits(second!);
    second!.labels.forEach((label, index) => {
      const row = [...probabilities.subarray(index * classes, (index + 1) * classes)];
      const scores = [...logits.subarray(index * classes, (index + 1) * classes)];
      const total = scores.reduce((sum, score) => sum + Math.exp(score), 0);
      row.forEach((value, k) => {
        expect(value).toBeCloseTo(Math.exp(scores[k]!) / total, 5);
      });
      expect(found.probabilities[index]).toBeCloseTo(row[label]!, 5);
      expect(found.losses[index]).toBeCloseTo(-Math.log(row[label]!), 4);
      expect(found.predictions[index]).toBe(scores.indexOf(Math.max(...scores)));
    });
  });

  test('of a sample does not depend on the others', () => {
    const whole = program.predict(second!);
    const part = program.predict({
      pixels: second!.pixels.slice(0, 2 * options.presize ** 2 * 3),
      transforms: second!.transforms.slice(0, 16),
      lighting: second!.lighting.slice(0, 4),
    });
    expect(relativeDistance(part, whole.subarray(0, 2 * classes))).toBeLessThan(1e-5);
  });
});

test('no call leaves a tensor behind', () => {
  const before = program.tensorHandles();
  const vector = gradientsOf(pieces);
  program.apply(vector, { trainable: 'all', learningRates: [0, 0, 0], momentum: 0.9 });
  program.evaluate(first!);
  program.predict(first!);
  program.resetMoments();
  program.save();
  const short = { ...first!, pixels: first!.pixels.slice(0, -3 * options.presize) };
  expect(() => gradientsOf([{ batch: short, key: [0, 0] }])).toThrow('Session fail to run');
  expect(program.tensorHandles()).toBe(before);
});

test.each([
  ['one label for all', (labels: Int32Array) => labels.slice(0, 1), /images have 1 labels/],
  ['a label of no class', (labels: Int32Array) => labels.map(() => 5), /there is no class 5 among 5/],
  ['a negative label', (labels: Int32Array) => labels.map(() => -1), /there is no class -1/],
])('%s is refused, in training and in evaluation', (_, change, message) => {
  const broken = { ...first!, labels: change(first!.labels) };
  expect(() => gradientsOf([{ batch: broken, key: [0, 0] }])).toThrow(message);
  expect(() => program.evaluate(broken)).toThrow(message);
});

test('a set of parameters that was not asked for is refused', () => {
  const frozenOnly = openProgram({ ...options, trainable: ['frozen'] });
  expect(() => frozenOnly.reduction('all')).toThrow("the program was opened without the set 'all'");
  frozenOnly.close();
  frozenOnly.close();
});
