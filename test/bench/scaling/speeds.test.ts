import { describe, expect, it } from 'vitest';
import { type Made, speedsOf } from '../../../bench/scaling/speeds.js';

/** Steps of 10 images, one after the other, that took so long. */
function steps(epoch: number, from: number, durations: readonly number[]): Made[] {
  let seconds = from;
  return durations.map((duration) => {
    seconds += duration;
    return { epoch, samples: 10, seconds };
  });
}

describe('speedsOf', () => {
  it('counts neither the first steps of a run nor what lies between two epochs', () => {
    const first = steps(0, 100, [9, 9, 9, 9, 2, 3]);
    const later = steps(1, 1000, [50, 1, 1, 2]);
    expect(speedsOf([...first, ...later])).toEqual({ firstEpoch: 20 / 5, laterEpoch: 30 / 4 });
  });

  it('refuses a run too short to say anything', () => {
    expect(() => speedsOf(steps(0, 0, [1, 1, 1, 1]))).toThrow('epoch 0 has too few steps');
  });
});
