import type { Metadata } from '@grpc/grpc-js';
import { createDeferred } from '../../runtime/deferred.js';
import { RondoError } from '../../runtime/errors.js';
import { callerOf } from '../../runtime/grpc/caller.js';
import { coordinatorName, workerName } from '../../runtime/member-name.js';

/** Who may copy this worker's state. */
export interface CopyAccess {
  /** From now on the members of this generation, and no others. */
  assign(generation: bigint, workerIds: readonly string[]): void;
  /**
   * Resolves when the caller may: the coordinator at any time, a member of a generation as soon as this worker
   * knows of it.
   *
   * @throws RondoError permission-denied for others; deadline-exceeded for a generation that this worker does
   *   not hear of.
   */
  check(call: {
    readonly metadata: Metadata;
    readonly request: { readonly generation: bigint };
  }): Promise<void>;
}

export function createCopyAccess(waitMs: () => number): CopyAccess {
  let newest = 0n;
  let names: readonly string[] = [];
  let changed = createDeferred<void>();
  return {
    assign(generation, workerIds) {
      newest = generation;
      names = workerIds.map(workerName);
      changed.resolve();
      changed = createDeferred<void>();
    },
    async check(call) {
      const caller = callerOf(call);
      if (caller === null || caller === coordinatorName) return;
      const { generation } = call.request;
      const endMs = performance.now() + waitMs();
      while (generation > newest) {
        let timer: NodeJS.Timeout | undefined;
        const late = new Promise<void>((resolve) => {
          timer = setTimeout(resolve, endMs - performance.now());
        });
        await Promise.race([changed.promise, late]);
        clearTimeout(timer);
        if (generation > newest && performance.now() >= endMs) {
          throw new RondoError('deadline-exceeded', `this worker was not told of generation ${generation}`);
        }
      }
      if (generation === newest && names.includes(caller)) return;
      throw new RondoError(
        'permission-denied',
        'the state is copied by the coordinator and the members of the present generation alone',
      );
    },
  };
}
