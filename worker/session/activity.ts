import { Activity } from '../../proto/gen/coordinator.js';
import type { BatchLoader } from '../training/batches.js';

/** A loader that says whether somebody waits for it. */
export interface WatchedLoader extends BatchLoader {
  isWaitedFor(): boolean;
}

export function watchLoader(loader: BatchLoader): WatchedLoader {
  let waiting = 0;
  return {
    isWaitedFor: () => waiting > 0,
    async *load(requests, options) {
      const batches = loader.load(requests, options)[Symbol.asyncIterator]();
      try {
        for (;;) {
          waiting += 1;
          const next = await batches.next().finally(() => {
            waiting -= 1;
          });
          if (next.done) return;
          yield next.value;
        }
      } finally {
        await batches.return?.();
      }
    },
  };
}

/** What this worker's heartbeat says: what is under way here comes before what it waits for elsewhere. */
export function activityOf(compute: { isBusy(): boolean }, loader: WatchedLoader | undefined): Activity {
  if (compute.isBusy()) return Activity.ACTIVITY_COMPUTING;
  return loader?.isWaitedFor() ? Activity.ACTIVITY_LOADING : Activity.ACTIVITY_WAITING;
}
