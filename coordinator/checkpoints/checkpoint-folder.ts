import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import type { EpochMeasure } from '../options/run-options.js';
import type { EpochRecord } from '../run-store/epoch-record.js';
import { findBestEpoch } from './best-epoch.js';
import { type Checkpoint, readCheckpointRecord, verifyCheckpoint } from './checkpoint-file.js';
import { nameCheckpoint } from './checkpoint-names.js';

/** A state of ResNet34 with its moments is 250 MB, so a run keeps few: what is newest, and the best. */
const keptNewest = 2;
const namePattern = /^(epoch|stopped)-\d+$/;

/**
 * The checkpoint with the most steps, its bytes checked; null when there is none. When that one is damaged,
 * throws data-loss that names the file, and the newest undamaged checkpoint to go on from.
 */
export async function findNewestCheckpoint(folder: string): Promise<Checkpoint | null> {
  const [newest, ...older] = await listCheckpoints(folder);
  if (newest === undefined) return null;
  const damage = await damageOf(newest);
  if (damage === null) return newest.checkpoint;
  for (const candidate of older) {
    if ((await damageOf(candidate)) !== null) continue;
    const { path, record } = candidate.checkpoint!;
    throw new RondoError('data-loss', damage.message, {
      cause: damage,
      remedy: `remove ${newest.path} and resume again: the run goes on from ${path} (step ${record.step}), which is whole`,
    });
  }
  throw new RondoError('data-loss', damage.message, {
    cause: damage,
    remedy: `no other checkpoint is whole: restore ${newest.path} from a copy, or remove it and resume from the beginning`,
  });
}

/** Removes all but the newest checkpoints and that of the best epoch. */
export async function pruneCheckpoints(
  folder: string,
  epochs: readonly EpochRecord[],
  measure?: EpochMeasure,
): Promise<void> {
  const names = (await listCheckpoints(folder)).map(({ name }) => name);
  for (const name of droppableCheckpoints(names, epochs, measure)) {
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** @param names newest first */
export function droppableCheckpoints(
  names: readonly string[],
  epochs: readonly EpochRecord[],
  measure: EpochMeasure = 'error_rate',
): string[] {
  const best = findBestEpoch(epochs, measure);
  const bestName = best && nameCheckpoint({ epoch: best.epoch, step: 0, whole: true });
  return names.slice(keptNewest).filter((name) => name !== bestName);
}

interface Listed {
  readonly name: string;
  readonly path: string;
  /** Null when its record cannot be read; it then counts as the newest, because its step is not known. */
  readonly checkpoint: Checkpoint | null;
  readonly damage: RondoError | null;
}

async function listCheckpoints(folder: string): Promise<Listed[]> {
  const names = (await readdir(folder)).filter((name) => namePattern.test(name));
  const listed = await Promise.all(names.map((name) => readListed(name, join(folder, name))));
  const stepOf = ({ checkpoint }: Listed) => checkpoint?.record.step ?? Number.MAX_SAFE_INTEGER;
  return listed.sort((a, b) => stepOf(b) - stepOf(a) || b.name.localeCompare(a.name));
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
