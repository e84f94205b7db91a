import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import type { EpochMeasure } from '../options/run-options.js';
import type { EpochRecord } from '../run-store/epoch-record.js';
import { findBestEpoch } from './best-epoch.js';
import { type Checkpoint, readCheckpointRecord, verifyCheckpoint } from './checkpoint-file.js';
import { isCheckpointName, nameCheckpoint } from './checkpoint-names.js';

/**
 * The checkpoint with the most steps of those whose bytes are what was written; null when there is none. Each
 * damaged one that is passed over goes to `onDamaged`, with the one that is taken instead.
 *
 * @throws RondoError data-loss, naming the newest one's file, when all are damaged.
 */
export async function findNewestCheckpoint(
  folder: string,
  onDamaged: (damage: RondoError, instead: Checkpoint) => void,
): Promise<Checkpoint | null> {
  const listed = await listCheckpoints(folder);
  const damages: RondoError[] = [];
  for (const each of listed) {
    const damage = await damageOf(each);
    if (damage !== null) {
      damages.push(damage);
      continue;
    }
    for (const passedOver of damages) onDamaged(passedOver, each.checkpoint!);
    return each.checkpoint;
  }
  const [newest] = listed;
  if (newest === undefined) return null;
  throw new RondoError('data-loss', damages[0]!.message, {
    cause: damages[0],
    remedy: `no other checkpoint is whole: restore ${newest.path} from a copy, or remove it and resume from the beginning`,
  });
}

/** A warning that a checkpoint was passed over. */
export function describeDamage({ message }: RondoError, { path, record }: Checkpoint): string {
  return `${message}; going on from ${path} (step ${record.step}), the newest one that is whole`;
}

/** Which checkpoints a run keeps. A state of ResNet34 with its moments is 250 MB. */
export interface Retention {
  readonly epochs: readonly EpochRecord[];
  /** Of the best epoch, whose checkpoint is kept; the error rate unless given. */
  readonly measure?: EpochMeasure | undefined;
  /** So many of the newest at the ends of epochs are kept, and as many inside epochs unless they are older. */
  readonly keep: number;
  /** After which the newest state was saved: what is later was damaged, and the run went on from before it. */
  readonly step: number;
}

/** Removes all but the newest checkpoints and that of the best epoch; also those that cannot be read. */
export async function pruneCheckpoints(folder: string, retention: Retention): Promise<void> {
  const listed = await listCheckpoints(folder);
  const useful = listed.filter(({ checkpoint }) => stepOf(checkpoint) <= retention.step);
  const kept = keptCheckpoints(
    useful.map(({ name }) => name),
    retention,
  );
  for (const { name, path } of listed) {
    if (!kept.includes(name)) await rm(path, { recursive: true, force: true });
  }
}

/** @param names newest first */
export function keptCheckpoints(
  names: readonly string[],
  { epochs, measure = 'error_rate', keep }: Omit<Retention, 'step'>,
): string[] {
  const best = findBestEpoch(epochs, measure);
  const bestName = best && nameCheckpoint({ epoch: best.epoch, step: 0, whole: true });
  let [ofEpochs, inside] = [0, 0];
  return names.filter((name) => {
    const isNewest = ofEpochs < keep && (name.startsWith('epoch-') || inside < keep);
    if (name.startsWith('epoch-')) ofEpochs += 1;
    else inside += 1;
    return isNewest || name === bestName;
  });
}

interface Listed {
  readonly name: string;
  readonly path: string;
  /** Null when its record cannot be read; it then counts as the newest, because its step is not known. */
  readonly checkpoint: Checkpoint | null;
  readonly damage: RondoError | null;
}

async function listCheckpoints(folder: string): Promise<Listed[]> {
  const names = (await readdir(folder)).filter(isCheckpointName);
  const listed = await Promise.all(names.map((name) => readListed(name, join(folder, name))));
  return listed.sort((a, b) => stepOf(b.checkpoint) - stepOf(a.checkpoint) || b.name.localeCompare(a.name));
}

function stepOf(checkpoint: Checkpoint | null): number {
  return checkpoint?.record.step ?? Number.MAX_SAFE_INTEGER;
}

async function readListed(name: string, path: string): Promise<Listed> {
  try {
    return { name, path, checkpoint: await readCheckpointRecord(path), damage: null };
  } catch (error) {
    return { name, path, checkpoint: null, damage: RondoError.from(error) };
  }
}

async function damageOf({ checkpoint, damage }: Listed): Promise<RondoError | null> {
  if (checkpoint === null) return damage;
  try {
    await verifyCheckpoint(checkpoint);
    return null;
  } catch (error) {
    return RondoError.from(error);
  }
}
