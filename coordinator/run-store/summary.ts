import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Arch } from '../../plan/run-config.js';
import { writeDurably } from '../../runtime/durable-file.js';
import type { RondoError } from '../../runtime/errors.js';
import type { EpochRecord } from './epoch-record.js';
import type { RunDirectory } from './run-directory.js';

/** summary.json: how a run ended. Written for completed, stopped and failed runs alike. */
export interface Summary {
  readonly status: 'completed' | 'stopped' | 'failed';
  readonly runId: string;
  readonly directory: string;
  readonly arch: Arch;
  readonly classes: readonly string[];
  readonly counts: { readonly train: number; readonly valid: number; readonly quarantined: number };
  readonly worldSize: number;
  /** Taken, of how many the plan has. */
  readonly steps: number;
  readonly totalSteps: number;
  /** Of those taken: how many changed nothing, because the loss or a gradient was not finite. */
  readonly skippedSteps: number;
  readonly epochs: readonly EpochRecord[];
  /** A phase ended before its last epoch, because the validation loss had not fallen for long enough. */
  readonly earlyStopped: boolean;
  /** By the measure of --keep-best, else by the error rate; null when none could be measured. */
  readonly bestEpoch: number | null;
  /** The checkpoint that `checkpoints/best` is another name of; null when none is marked. */
  readonly bestCheckpoint: string | null;
  /** Of the last state that all workers agreed on; null before the first. */
  readonly parameterDigest: string | null;
  readonly quarantined: readonly { readonly path: string; readonly reason: string }[];
  /** Times that training went on after losing a worker, or was resumed. */
  readonly recoveries: number;
  /** What the run's workers computed with, each once, in words. */
  readonly kernels: readonly string[];
  /** By the workers since the run was last started or resumed; zeros when they did not report them. */
  readonly metrics: { readonly published: number; readonly dropped: number };
  /** Since the run was last started or resumed. */
  readonly wallSeconds: number;
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string | null } | null;
  /** The command that goes on with the run; null when it is completed. */
  readonly resume: string | null;
  /** The page of a completed run's report; null when there is none. */
  readonly report: string | null;
}

/** How training ended; `error` is null unless it failed. */
export interface Ending {
  readonly status: Summary['status'];
  readonly earlyStopped?: boolean;
  readonly error: RondoError | null;
  readonly metrics: { readonly published: number; readonly dropped: number };
}

export function describeError(error: RondoError): NonNullable<Summary['error']> {
  return { code: error.code, message: error.message, remedy: error.remedy ?? null };
}

export async function writeSummary(directory: RunDirectory, summary: Summary): Promise<void> {
  await writeDurably(directory.summary, [encode(summary)]);
}

/** For the last moment of a process, when nothing can be waited for. */
export function writeSummaryAtOnce(directory: RunDirectory, summary: Summary): void {
  writeFileSync(directory.summary, encode(summary));
}

/** Null when the run has not ended yet, or was killed before it could say how. */
export async function readSummary(directory: RunDirectory): Promise<Summary | null> {
  try {
    return JSON.parse(await readFile(directory.summary, 'utf8')) as Summary;
  } catch {
    return null;
  }
}

function encode(summary: Summary): string {
  return `${JSON.stringify(summary, null, 2)}\n`;
}
