import type { FloatType } from '../../plan/run-config.js';
import { cutBlocks } from './geometry.js';
import type { Ring } from './rounds.js';

/**
 * One ring of several lanes, each of which sums its own blocks of every vector at the same time. A vector's
 * cut does not depend on the number of lanes, so neither does a bit of the sum; lanes that a vector has no
 * blocks for rest.
 *
 * When one lane fails, the others are aborted; the call rejects with the first failure when none works on the
 * vector any more.
 */
export function joinLanes(o: { lanes: readonly Ring[]; worldSize: number; wire: FloatType }): Ring {
  const [only] = o.lanes;
  if (o.lanes.length === 1) return only;
  return {
    async allReduce(vector, { exactFrom, signal }) {
      const blockCount = cutBlocks({ ...o, length: vector.length, exactFrom }).length;
      const busy = o.lanes.slice(0, Math.max(1, blockCount));
      const breakage = new AbortController();
      const pass = () => breakage.abort(signal.reason);
      signal.addEventListener('abort', pass);
      if (signal.aborted) pass();
      const outcomes = await Promise.allSettled(
        busy.map((lane) =>
          lane.allReduce(vector, { exactFrom, signal: breakage.signal }).catch((error: unknown) => {
            breakage.abort(error);
            throw breakage.signal.reason;
          }),
        ),
      );
      signal.removeEventListener('abort', pass);
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
  };
}
