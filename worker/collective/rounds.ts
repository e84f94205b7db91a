import assert from 'node:assert/strict';
import { RondoError } from '../../runtime/errors.js';
import { abortError } from './breakage.js';

export interface Call {
  readonly signal: AbortSignal;
}

/**
 * What ranks do together. All ranks make the same calls in the same order, one at a time.
 *
 * @throws RondoError: the link's own; `data-loss` for a chunk out of order, `aborted` for one of another
 *   generation, `aborted` or the signal's reason when the signal aborts. After any of them the ring is broken
 *   and every later call throws the same.
 */
export interface Ring {
  /**
   * `vector` holds int32 values, whose sums over all ranks int32 must hold too. It is filled with these sums as
   * float32, rounded once, and once more to the wire's type where that is bfloat16: the same bits on every
   * rank, and in every division of the work among ranks, for integers may be added in any order. It may be
   * shared memory; it must be left alone until the promise settles, and nothing of it is retained afterwards.
   */
  allReduce(vector: Float32Array, call: Call): Promise<void>;
  /** Every rank's `bytes`, by rank; they may differ in length. */
  allGather(bytes: Uint8Array, call: Call): Promise<Uint8Array[]>;
}

/** A call with its number: how many there were before. */
type Numbered = Call & { readonly round: bigint };

/** A ring that numbers its calls: one at a time, and none after one that failed. */
export function countRounds(o: {
  allReduce(vector: Float32Array, call: Numbered): Promise<void>;
  allGather(bytes: Uint8Array, call: Numbered): Promise<Uint8Array[]>;
}): Ring {
  let round = 0n;
  let busy = false;
  let broken: RondoError | null = null;
  const carryOut = async <T>({ signal }: Call, work: (call: Numbered) => Promise<T>): Promise<T> => {
    assert(!busy, 'one call at a time');
    if (broken !== null) throw broken;
    busy = true;
    try {
      if (signal.aborted) throw abortError(signal);
      const result = await work({ signal, round });
      round += 1n;
      return result;
    } catch (error) {
      broken = RondoError.from(error);
      throw broken;
    } finally {
      busy = false;
    }
  };
  return {
    async allReduce(vector, call) {
      assert(vector.length <= 0xffffffff, `${vector.length} elements have no offset in a chunk`);
      await carryOut(call, (numbered) => o.allReduce(vector, numbered));
    },
    allGather: (bytes, call) => carryOut(call, (numbered) => o.allGather(bytes, numbered)),
  };
}
