import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { RunConfig } from '../../plan/run-config.js';
import { writeDurably } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import { nearestName } from '../../runtime/nearest-name.js';
import { shellWord } from '../../runtime/shell-word.js';
import { cannotWrite } from '../../runtime/write-error.js';
import type { DataRemark } from '../dataset/remarks.js';
import type { TrainingOptions } from '../options/start-schema.js';

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
  /** What `worker join` must know, while workers that were not launched here may join. */
  readonly token: string;
  /** The digest of every image that the run trains and validates on. */
  readonly images: string;
  readonly summary: string;
  /** The files of the data that are left out, one JSON object a line; absent when there are none. */
  readonly quarantined: string;
  readonly report: string;
}

/** Where a new run's weights come from; recorded in its run.json. */
export interface SourceRecord {
  readonly runId: string;
  /** Absolute path of the checkpoint's folder. */
  readonly checkpoint: string;
  readonly step: number;
  readonly parameterDigest: string;
  /** A head is taken over only by a run with the same classes. */
  readonly head: 'taken over' | 'fresh';
}

/**
 * run.json: what was asked for, and what it was resolved to. Rewritten only where a resumed run found its data
 * elsewhere: `training` and the two roots then say where it lies.
 */
export interface RunRecord {
  readonly runId: string;
  readonly createdAt: string;
  readonly command: readonly string[];
  readonly versions: { readonly rondo: string; readonly node: string; readonly platform: string };
  readonly workers: number;
  readonly training: TrainingOptions;
  /** Null unless the run takes its weights from another one. */
  readonly source: SourceRecord | null;
  readonly datasetDigest: string;
  /** Absolute path of the images' folder; absent in runs of earlier versions. */
  readonly dataRoot?: string;
  /** Of the images to validate on, where they have a folder of their own. */
  readonly validRoot?: string;
  /** What indexing said of the data; absent in runs of earlier versions. */
  readonly data?: {
    /** Where the validation set comes from. */
    readonly validation: string | null;
    readonly remarks: readonly DataRemark[];
  };
  readonly config: RunConfig;
}

/**
 * Makes a new, empty run directory: `name`, or a name from the time and the architecture that nobody has yet.
 * Throws failed-precondition when `name` exists already.
 */
export function createRunDirectory(
  runDir: string,
  name: string | null,
  arch: string,
  now: Date,
): RunDirectory {
  try {
    mkdirSync(runDir, { recursive: true });
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
      throw new RondoError('failed-precondition', `run ${directory.path} exists already`, {
        remedy: `choose another --name, or go on with it: --resume ${shellWord(directory.path)}`,
      });
    }
    mkdirSync(directory.checkpoints);
    mkdirSync(directory.logs);
    return directory;
  }
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
    token: join(path, 'token'),
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
        ? `${names.length} runs are there: coordinator runs --run-dir ${shellWord(runDir)}`
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
  await writeDurably(directory.record, [`${JSON.stringify(record, null, 2)}\n`]);
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

/** Throws data-loss when run.json is not what Rondo wrote. */
export function readRunRecord(directory: RunDirectory): RunRecord {
  const text = readFileSync(directory.record, 'utf8');
  try {
    const record = JSON.parse(text) as RunRecord;
    if (typeof record.config?.trainCount === 'number' && typeof record.training?.arch === 'string')
      return record;
  } catch {
    // Answered below, like JSON of another shape.
  }
  throw new RondoError('data-loss', `${directory.record} is not a run's record`, {
    remedy: 'restore the file from a copy, or start a new run',
  });
}

function timestamp(now: Date): string {
  return now.toISOString().slice(0, 19).replaceAll('-', '').replaceAll(':', '').replace('T', '-');
}
