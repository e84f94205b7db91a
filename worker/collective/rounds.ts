import assert from 'node:assert/strict';
import { RondoError } from '../../runtime/errors.js';
import { abortError } from './breakage.js';

export interface Ring {
  /**
   * Replaces `vector` by its sum over all ranks, bit for bit the same on every rank. All ranks call it in the
   * same order with the same length and `exactFrom`, from which element on everything travels as float32. The
   * vector may be shared memory; it must be left alone until the promise settles, and nothing of it is
   * retained afterwards.
   *
   * With a bfloat16 wire every partial sum is rounded to nearest even, and the result too; a world of one
   * rounds its vector likewise, so that the world size changes no more than the order of summation does.
   *
   * @throws RondoError: the link's own; `data-loss` for a chunk out of order, `aborted` for one of another
   * generation, `aborted` or the signal's reason when the signal aborts. After any of them the ring is broken
   * and every later call throws the same.
   */
  allReduce(vector: Float32Array, o: AllReduceOptions): Promise<void>;
}

export interface AllReduceOptions {
  readonly exactFrom: number;
  readonly signal: AbortSignal;
}

/**
 * A ring of `sum`, which is told how many all-reduces there were before: one at a time, and none after one
 * that failed.
 */
export function countRounds(
  sum: (vector: Float32Array, o: AllReduceOptions & { round: bigint }) => Promise<void>,
): Ring {
  let round = 0n;
  let busy = false;
  let broken: RondoError | null = null;
  return {
    async allReduce(vector, { exactFrom, signal }) {
      assert(!busy, 'one all-reduce at a time');
      assert(exactFrom >= 0 && exactFrom <= vector.length, `exactFrom ${exactFrom} of ${vector.length}`);
      assert(vector.length <= 0xffffffff, `${vector.length} elements have no offset in a chunk`);
      if (broken !== null) throw broken;
      busy = true;
      try {
        if (signal.aborted) throw abortError(signal);
        await sum(vector, { exactFrom, signal, round });
        round += 1n;
      } catch (error) {
        broken = RondoError.from(error);
        throw broken;
      } finally {
        busy = false;
      }
    },
  };
}
