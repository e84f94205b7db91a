import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { z } from 'zod';
import { runFormatVersion, runRecordSchema } from '../../proto/run-files.js';
import { cannotWrite, writeDurably } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import { isLockHeld, readLockHolder, tryLock } from '../../runtime/file-lock.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { nearestName } from '../../runtime/nearest-name.js';
import { parseJson } from '../../runtime/parse-json.js';
import { shellWord } from '../../runtime/printable.js';
import { recordedTraining } from '../options/training-options.js';

/** The files of one run. All paths begin with `path`. */
export interface RunDirectory {
  readonly runId: string;
  readonly path: string;
  readonly record: string;
  readonly metrics: string;
  readonly ledger: string;
  readonly checkpoints: string;
  /** What a run takes over from another one; absent in other runs. */
  readonly initialWeights: string;
  readonly logs: string;
  readonly nats: string;
  /** Where the run can be asked for its status, and with which secret, while it goes on. */
  readonly control: string;
  /** The run's certificate authority, and the tokens that others join with; absent where none was needed. */
  readonly identity: string;
  /** What `worker join` must know, while workers that were not launched here may join. */
  readonly token: string;
  /** What the coordinator has decided and started, while the run goes on. */
  readonly coordinator: string;
  /** The digest of every image that the run trains and validates on. */
  readonly images: string;
  readonly summary: string;
  /** The files of the data that are left out, one JSON object a line; absent when there are none. */
  readonly quarantined: string;
  readonly report: string;
}

const recordSchema = runRecordSchema.extend({ training: recordedTraining });

/**
 * What was asked for, and what it was resolved to. Rewritten only where a resumed run found its data elsewhere:
 * `training` and the two roots then say where it lies.
 */
export type RunRecord = Readonly<z.infer<typeof recordSchema>>;
export type SourceRecord = NonNullable<RunRecord['source']>;

/**
 * Makes a new, empty run directory: `name`, or a name from the time and the architecture that nobody has yet.
 * Throws failed-precondition when `name` exists already, unless a coordinator died there before it had recorded a run.
 */
export function createRunDirectory(
  runDir: string,
  name: string | null,
  arch: string,
  now: Date,
): RunDirectory {
  try {
    makeFolder(runDir);
  } catch (error) {
    throw cannotWrite(runDir, error);
  }
  const stem = name ?? `${timestamp(now)}-${arch}`;
  for (let attempt = 1; ; attempt++) {
    const directory = runDirectoryAt(join(runDir, attempt === 1 ? stem : `${stem}-${attempt}`));
    try {
      // Not recursive: it fails when the directory exists, so no run is ever written over.
      mkdirSync(directory.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw cannotWrite(directory.path, error);
      if (name === null) continue;
      if (!wasNeverBegun(directory)) throw existsAlready(directory);
    }
    makeFolder(directory.checkpoints);
    makeFolder(directory.logs);
    return directory;
  }
}

/** Whether a coordinator died in this directory before it had recorded a run. */
function wasNeverBegun({
  path,
  checkpoints,
  logs,
  images,
  quarantined,
  initialWeights,
  identity,
  token,
}: RunDirectory): boolean {
  const early = [images, quarantined, initialWeights, identity, token, join(path, 'lock')];
  const files = early.map((file) => basename(file));
  const isEmpty = (folder: string) => !existsSync(folder) || readdirSync(folder).length === 0;
  const others = readdirSync(path).filter((name) => !files.includes(name) && !/^\..*\.tmp$/.test(name));
  const folders = [checkpoints, logs].map((folder) => basename(folder));
  return (
    others.every((name) => folders.includes(name)) && isEmpty(checkpoints) && isEmpty(logs) && !isLocked(path)
  );
}

/**
 * Removes what a coordinator that died had prepared, but for the run's authority: workers that wait for the run to
 * begin have certificates of it. The run's lock must be held.
 */
export function clearPrepared(directory: RunDirectory): void {
  const { path, images, quarantined, initialWeights, token } = directory;
  const temporary = readdirSync(path).filter((name) => name.startsWith('.'));
  const files = [images, quarantined, initialWeights, token];
  for (const file of [...files, ...temporary.map((name) => join(path, name))]) {
    rmSync(file, { recursive: true, force: true });
  }
}

function existsAlready({ path, record }: RunDirectory): RondoError {
  if (existsSync(record)) {
    return new RondoError('failed-precondition', `run ${path} exists already`, {
      remedy: `choose another --name, or go on with it: --resume ${shellWord(path)}`,
    });
  }
  return new RondoError('failed-precondition', `${path} exists already, and holds no run`, {
    remedy: 'choose another --name, or remove it',
  });
}

export function runDirectoryAt(path: string): RunDirectory {
  return {
    runId: basename(resolve(path)),
    path,
    record: join(path, 'run.json'),
    metrics: join(path, 'metrics.jsonl'),
    ledger: join(path, 'ledger.jsonl'),
    checkpoints: join(path, 'checkpoints'),
    initialWeights: join(path, 'initial.safetensors'),
    logs: join(path, 'logs'),
    nats: join(path, 'nats'),
    control: join(path, 'control.json'),
    identity: join(path, 'identity'),
    token: join(path, 'token'),
    coordinator: join(path, 'coordinator.json'),
    images: join(path, 'images.sha256'),
    summary: join(path, 'summary.json'),
    quarantined: join(path, 'quarantined.jsonl'),
    report: join(path, 'report'),
  };
}

/**
 * The directory of a run given by name (under `runDir`) or by path. Throws not-found with the nearest name.
 */
export function findRunDirectory(run: string, runDir: string): RunDirectory {
  for (const path of [join(runDir, run), run]) {
    if (existsSync(join(path, 'run.json'))) return runDirectoryAt(path);
  }
  const names = listRunNames(runDir);
  const nearest = nearestName(run, names);
  throw new RondoError('not-found', `there is no run "${run}" in ${runDir}, and no run.json in ${run}`, {
    remedy:
      nearest === null
        ? `coordinator runs --run-dir ${shellWord(runDir)} lists those that are there (${names.length})`
        : `did you mean ${nearest}?`,
  });
}

/** Names of the runs in a folder, oldest name first; none when there is no such folder. */
export function listRunNames(runDir: string): string[] {
  if (!existsSync(runDir)) return [];
  return readdirSync(runDir)
    .filter((name) => existsSync(join(runDir, name, 'run.json')))
    .sort();
}

export async function writeRunRecord(directory: RunDirectory, record: RunRecord): Promise<void> {
  const versioned = { formatVersion: runFormatVersion, ...record };
  await writeDurably(directory.record, [`${JSON.stringify(versioned, null, 2)}\n`]);
}

export async function writeQuarantined(
  { quarantined }: RunDirectory,
  files: readonly { readonly path: string; readonly reason: string }[],
): Promise<void> {
  if (files.length === 0) return;
  await writeDurably(
    quarantined,
    files.map(({ path, reason }) => `${JSON.stringify({ path, reason })}\n`),
  );
}

/**
 * Throws data-loss that names the field when run.json is not what Rondo wrote, and failed-precondition when a
 * newer Rondo wrote it.
 */
export function readRunRecord({ record: name }: RunDirectory): RunRecord {
  const remedy = 'restore the file from a copy, or start a new run';
  const source = { name, remedy, formatVersion: runFormatVersion };
  return parseJson(recordSchema, readFileSync(name, 'utf8'), source);
}

function timestamp(now: Date): string {
  return now.toISOString().slice(0, 19).replaceAll('-', '').replaceAll(':', '').replace('T', '-');
}

/** Writes the run's token where `worker join --token-file` finds it, readable by this user alone. */
export function writeTokenFile(path: string, token: string): void {
  try {
    // The file's mode counts when it is made, and a link that stands there is not followed.
    rmSync(path, { force: true });
    writeFileSync(path, `${token}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw RondoError.from(error);
  }
}

/** Never throws: a token is worth nothing once its run is over. */
export function removeTokenFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {}
}

/** Asking whether a run is locked takes its lock for a moment, so locking is tried several times. */
const tries = 5;
const betweenTriesMs = 20;

/**
 * Takes a run for this process; the returned function gives it back, and so does the process's end.
 * Throws failed-precondition when another coordinator holds it.
 */
export function lockRun(directory: string): () => void {
  const path = join(directory, 'lock');
  for (let left = tries; left > 0; left -= 1) {
    const unlock = tryLock(path);
    if (unlock !== null) return unlock;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, betweenTriesMs);
  }
  const holder = readLockHolder(path);
  const by = holder === null ? 'another process' : `process ${holder.pid} on ${holder.host}`;
  throw new RondoError('failed-precondition', `run ${directory} is in use by ${by}`, {
    remedy: 'stop that process (Ctrl-C, or SIGTERM), or wait for it to end',
  });
}

/** True when a live process holds the run. */
export function isLocked(directory: string): boolean {
  return isLockHeld(join(directory, 'lock'));
}
