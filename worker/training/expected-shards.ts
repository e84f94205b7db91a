import { openEpochWindows, type PlaceInWindows } from '../../plan/epoch-order.js';
import { stepsPerEpoch } from '../../plan/micro-batches.js';
import { type Place, type StepPlan, totalSteps } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { ExpectedShards } from '../../runtime/storage/whole-shards.js';

/**
 * Which shards (positions in the data set's) a rank reads from a step on; null where an epoch has no windows of them.
 *
 * @param isFirst whether the rank reads nothing of the steps before: then a window is begun or just begins
 */
export function expectShards(
  config: RunConfig,
  { step, epoch, stepInEpoch }: Pick<StepPlan, 'step' | 'epoch' | 'stepInEpoch'>,
  { partitions }: Pick<Place, 'partitions'>,
  isFirst: boolean,
): ExpectedShards<number> | null {
  const places = openEpochWindows(config, epoch)?.placesOf(stepInEpoch, partitions);
  if (places === undefined) return null;
  const isLastEpoch = step - stepInEpoch + stepsPerEpoch(config) >= totalSteps(config);
  const firstOfNextEpoch = (index: number) =>
    isLastEpoch
      ? []
      : openEpochWindows(config, epoch + 1)!.placesOf(0, partitions)[index]!.windows.shards[0]!;
  const next = places
    .map((place, index) => comingTo(place, () => firstOfNextEpoch(index)))
    .sort((a, b) => a.left - b.left)
    .flatMap(({ shards }) => shards);
  return { ...(isFirst ? current(places) : { begun: [], now: [] }), next: [...new Set(next)] };
}

/**
 * The shards that windows begin with; and those of which something was read in this epoch before, and something is
 * left: of the windows that are under way, and at the borders of partitions.
 */
function current(places: readonly PlaceInWindows[]): Pick<ExpectedShards<number>, 'begun' | 'now'> {
  const read = places.flatMap(({ windows, start }) =>
    windows.shards.filter((_, window) => windows.starts[window]! < start).flat(),
  );
  const ahead = places.filter(({ start, end }) => start < end);
  const left = ahead.flatMap(({ windows, start }) => windows.shards.slice(windows.windowAt(start)).flat());
  const begins = ahead.flatMap(({ windows, start }) => {
    const window = windows.windowAt(start);
    return windows.starts[window] === start ? windows.shards[window]! : [];
  });
  const known = new Set(read);
  return { begun: [...new Set(left)].filter((shard) => known.has(shard)), now: begins };
}

/**
 * The shards of the windows that a step comes to after the one that it begins in, and of the one after it; and how
 * many samples are read before them.
 */
function comingTo({ windows, start, end }: PlaceInWindows, firstOfNextEpoch: () => readonly number[]) {
  const from = windows.windowAt(start) + 1;
  const to = windows.windowAt(Math.max(start, end - 1)) + 1;
  const coming = windows.shards.slice(from, to + 1).flat();
  const shards = to === windows.starts.length ? [...coming, ...firstOfNextEpoch()] : coming;
  return { shards, left: (windows.starts[from] ?? end) - start };
}
