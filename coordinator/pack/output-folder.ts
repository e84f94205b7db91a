import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { cannotWrite, writeDurably } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import { readLockHolder, tryLock } from '../../runtime/file-lock.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { parseJson } from '../../runtime/parse-json.js';
import { printable } from '../../runtime/printable.js';
import {
  encodeIndex,
  type IndexHeader,
  indexName,
  readIndex,
  type SampleColumns,
  type ShardIndex,
  type ShardRecord,
  sliceColumns,
} from '../dataset/shard-index.js';
import { comparePlans, type PackPlan } from './plan.js';
import { holds } from './shard-file.js';

/** Holds what is known of finished shards while others are still to be written. */
const workName = '.pack';
const planName = 'plan.json';
export const cardName = 'README.md';

/** A shard that was finished before, by the name it has. */
export interface FinishedShard {
  readonly record: ShardRecord;
  readonly columns: SampleColumns;
}

/** The folder that a pack goes into, which no other process packs into meanwhile. */
export interface OutputFolder {
  readonly path: string;
  /** What earlier calls finished; whether the files are still so is another question. */
  readonly finished: ReadonlyMap<string, FinishedShard>;
  /** An earlier call ended; its index and card are there. */
  readonly whole: boolean;
  /** Where a shard is written until it is whole. */
  readonly temporary: string;
  /** Whether a shard is still there as it was finished. */
  holds(record: ShardRecord, signal: AbortSignal): Promise<boolean>;
  /** Notes a shard that is under its name. */
  keep(header: IndexHeader, columns: SampleColumns, paths: readonly string[]): Promise<void>;
  /** Writes the card and, last, the index: a folder that has one is whole. */
  complete(card: string, index: Iterable<Uint8Array>): Promise<void>;
  /** Removes what only packing needs. */
  tidy(): Promise<void>;
  close(): void | Promise<void>;
}

/**
 * Makes the folder, or takes up what an earlier call of the same plan left there. Throws failed-precondition
 * for a folder that holds anything else, and when another process packs into it.
 */
export async function openOutput(path: string, plan: PackPlan): Promise<OutputFolder> {
  const work = join(path, workName);
  const names = await listOutput(path);
  requirePack(path, names);
  try {
    makeFolder(work);
  } catch (error) {
    throw cannotWrite(path, error);
  }
  const unlock = lockOutput(path, join(work, 'lock'));
  const tidy = () => rm(work, { recursive: true, force: true });
  try {
    const whole = names.includes(indexName) ? await readIndex(join(path, indexName)) : null;
    const begun = whole?.header.plan ?? (await readPlan(join(work, planName)));
    if (begun !== null) requireSamePlan(path, begun, plan, whole !== null);
    else await writeDurably(join(work, planName), [JSON.stringify(plan)]);
    const known = [...(whole === null ? [] : [whole]), ...(await readNotes(work, plan))];
    const finished = known.flatMap(splitIndex).map((shard) => [shard.record.name, shard] as const);
    return {
      path,
      finished: new Map(finished),
      whole: whole !== null,
      temporary: join(work, 'shard.tar'),
      holds: (record, signal) => holds(join(path, record.name), record, signal),
      keep: (header, columns, paths) =>
        writeDurably(join(work, `${header.shards[0]!.name}.index`), encodeIndex(header, columns, paths)),
      async complete(card, index) {
        await writeDurably(join(path, cardName), [card]);
        await writeDurably(join(path, indexName), index);
      },
      tidy,
      close: unlock,
    };
  } catch (error) {
    if (names.includes(indexName)) await tidy();
    unlock();
    throw error;
  }
}

/** Throws what `openOutput` throws of a folder that is none of a pack's, before the images are looked at. */
export async function requireOutput(path: string): Promise<void> {
  requirePack(path, await listOutput(path));
}

async function listOutput(path: string): Promise<string[]> {
  try {
    makeFolder(path);
    return await readdir(path);
  } catch (error) {
    if (['EEXIST', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) {
      throw new RondoError('invalid-argument', `${path} is no folder`, {
        remedy: 'give --out a folder, which is made if need be',
        cause: error,
      });
    }
    throw cannotWrite(path, error);
  }
}

function requirePack(path: string, names: readonly string[]): void {
  if (names.length === 0 || names.includes(indexName) || names.includes(workName)) return;
  throw new RondoError('failed-precondition', `${path} is not empty: it holds ${printable(names[0]!)}`, {
    remedy: otherFolder,
  });
}

const otherFolder = 'give --out an empty folder or a new one';

function lockOutput(path: string, lock: string): () => void {
  const unlock = tryLock(lock);
  if (unlock !== null) return unlock;
  const holder = readLockHolder(lock);
  const who = holder === null ? 'another process' : `process ${holder.pid} on ${holder.host}`;
  throw new RondoError('failed-precondition', `${who} packs into ${path} at the moment`, {
    remedy: 'wait until it has ended, or give another --out',
  });
}

export function requireSamePlan(path: string, found: PackPlan, wanted: PackPlan, whole: boolean): void {
  const differences = comparePlans(found, wanted);
  if (differences.length === 0) return;
  const what = whole ? 'a pack' : 'an unfinished pack';
  throw new RondoError('failed-precondition', `${path} holds ${what} of ${differences.join(', ')}`, {
    remedy: `${otherFolder}, or remove ${path} if it is no longer needed`,
  });
}

const planSchema = z.record(z.string(), z.union([z.string(), z.number(), z.null()]));

/** Null when packing has not begun. */
async function readPlan(file: string): Promise<PackPlan | null> {
  try {
    return parseJson(planSchema, await readFile(file, 'utf8'), { name: file });
  } catch {
    return null;
  }
}

/** The indices of single shards. What is damaged or of another plan counts as not there. */
async function readNotes(work: string, plan: PackPlan): Promise<ShardIndex[]> {
  const names = (await readdir(work)).filter((name) => /^[^.].*\.index$/.test(name)).sort();
  const notes: ShardIndex[] = [];
  // One after the other: there may be more than a process may have open.
  for (const name of names) {
    const note = await readIndex(join(work, name)).catch(() => null);
    if (note !== null && comparePlans(note.header.plan, plan).length === 0) notes.push(note);
  }
  return notes;
}

export function splitIndex({ header, columns }: ShardIndex): FinishedShard[] {
  let from = 0;
  return header.shards.map((record) => {
    from += record.samples;
    return { record, columns: sliceColumns(columns, from - record.samples, from) };
  });
}
