import { join } from 'node:path';
import type { RunConfig } from '../../plan/run-config.js';
import type { StateHeader } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import type { EpochMeasure } from '../options/run-options.js';
import type { EpochRecord } from '../run-store/epoch-record.js';
import type { LineFile } from '../run-store/line-file.js';
import type { RunEvent } from '../telemetry/run-events.js';
import { findBestEpoch, markBest } from './best-epoch.js';
import { digestRunConfig, writeCheckpoint } from './checkpoint-file.js';
import { pruneCheckpoints } from './checkpoint-folder.js';
import { nameAgain, nameCheckpoint, nameStage } from './checkpoint-names.js';

/** A worker that serves a state, and where: HOST:PORT. */
export interface Holder {
  readonly workerId: string;
  readonly address: string;
}

/** A state to save, which the workers hold. */
export interface SavedEnd {
  readonly epoch: number;
  readonly step: number;
  /** False for a state inside the epoch. */
  readonly whole: boolean;
  /** The run was stopped with it. */
  readonly stopped: boolean;
  /** Its phase ends with it, earlier than planned. */
  readonly endsPhase: boolean;
  /** Who serves it, in which generation. */
  readonly holders: readonly Holder[];
  readonly generation: bigint;
}

/** The state held by the worker at `address`, which is given up when it sends nothing for `stallMs`. */
export type PullState = (
  address: string,
  options: { holderId: string; generation: bigint; step: number; stallMs: number; signal: AbortSignal },
) => Promise<{ header: StateHeader; values: Float32Array }>;

export interface CheckpointKeeperOptions {
  readonly config: RunConfig;
  /** The measure whose best epoch is marked; null to mark none. */
  readonly keepBest: EpochMeasure | null;
  /** How many of the newest are kept. */
  readonly keep: number;
  /** Of checkpoints. */
  readonly folder: string;
  readonly pullState: PullState;
  /** A worker that sends nothing for so long is given up. */
  readonly stallMs: number;
  readonly ledger: LineFile;
  /** All of the ledger so far is on the disk. */
  synced(): void;
  /** The epochs that have ended so far. */
  epochs(): readonly EpochRecord[];
  report(event: RunEvent): void;
  publish(metric: { kind: 'event'; event: 'checkpoint'; detail: string; step: number }): void;
}

/**
 * Saves complete states in the background, as many as there is time for: the newest always, the end of a
 * frozen phase and the best epoch unless a better one comes first.
 */
export function keepCheckpoints(o: CheckpointKeeperOptions): LatestQueue<SavedEnd> {
  const { config, keepBest } = o;
  const isBest = (end: SavedEnd) =>
    keepBest !== null && end.whole && findBestEpoch(o.epochs(), keepBest)?.epoch === end.epoch;
  return createLatestQueue<SavedEnd>(
    (end, signal) => saveCheckpoint(end, signal, o),
    (end) => end.endsPhase || nameStage(config, end) !== null || isBest(end),
    (end, error) =>
      o.report({ kind: 'warning', text: `${nameCheckpoint(end)} was not saved: ${error.message}` }),
  );
}

async function saveCheckpoint(end: SavedEnd, signal: AbortSignal, o: CheckpointKeeperOptions): Promise<void> {
  const { config, keepBest, folder } = o;
  const { header, values } = await pullFromAny(end, signal, o);
  // A checkpoint promises the steps before it: they must be on the disk first.
  o.ledger.sync();
  o.synced();
  // `stage-N` first: after a crash between the two, a run resumed from the epoch's checkpoint would never
  // write it.
  const names = [nameStage(config, end) ?? [], nameCheckpoint(end)].flat();
  const [path, ...otherPaths] = names.map((name) => join(folder, name));
  await writeCheckpoint(path!, { ...end, header, values, runConfigDigest: digestRunConfig(config) });
  for (const other of otherPaths) await nameAgain(path!, other);
  if (keepBest !== null) await markBest(folder, o.epochs(), keepBest);
  for (const name of names) {
    o.report({ kind: 'checkpoint', name, step: end.step });
    o.publish({ kind: 'event', event: 'checkpoint', detail: name, step: end.step });
  }
  await pruneCheckpoints(folder, {
    epochs: o.epochs(),
    measure: keepBest ?? undefined,
    keep: o.keep,
    step: end.step,
  });
}

/** All holders have the same bytes: where one is gone, or went on and forgot them, the next is asked. */
async function pullFromAny(
  { holders, generation, step }: SavedEnd,
  signal: AbortSignal,
  { pullState, stallMs }: CheckpointKeeperOptions,
): ReturnType<PullState> {
  let failure = new RondoError('unavailable', `nobody holds the state after step ${step}`);
  for (const { address, workerId: holderId } of holders) {
    try {
      return await pullState(address, { holderId, generation, step, stallMs, signal });
    } catch (thrown) {
      failure = RondoError.from(thrown);
      if (signal.aborted) break;
    }
  }
  throw failure;
}

/**
 * Work done in the background, one piece at a time, in order; a newer piece takes the place of one that still
 * waits, unless that one must be done.
 */
export interface LatestQueue<T> {
  push(item: T): void;
  /** Resolves when nothing is left to do: to the error of the newest piece, or null when that went well. */
  settle(): Promise<RondoError | null>;
  /** Aborts what is being done and drops what waits. */
  abort(): void;
}

export function createLatestQueue<T>(
  work: (item: T, signal: AbortSignal) => Promise<void>,
  mustBeDone: (item: T) => boolean,
  onFailed: (item: T, error: RondoError) => void,
): LatestQueue<T> {
  const controller = new AbortController();
  const { signal } = controller;
  let waiting: T[] = [];
  let running: Promise<void> | null = null;
  let failure: RondoError | null = null;

  const drain = async () => {
    for (let item = waiting.shift(); item !== undefined && !signal.aborted; item = waiting.shift()) {
      failure = await work(item, signal).then(() => null, RondoError.from);
      if (failure !== null && !signal.aborted) onFailed(item, failure);
    }
    running = null;
  };

  return {
    push(item) {
      waiting = [...waiting.filter(mustBeDone), item];
      running ??= drain();
    },
    async settle() {
      while (running !== null) await running;
      return failure;
    },
    abort() {
      waiting = [];
      controller.abort(new RondoError('cancelled', 'the run ended'));
    },
  };
}
