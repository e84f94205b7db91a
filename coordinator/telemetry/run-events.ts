import { addLogFields, type LoggedLevel, log } from '../../runtime/log.js';
import type { DataRemark } from '../dataset/remarks.js';
import type { EpochRecord } from '../run-store/epoch-record.js';
import type { Summary } from '../run-store/summary.js';

/**
 * The events of a run, in order, as people and programs that read --json receive them. Indices count from 0.
 */
export type RunEvent =
  | { readonly kind: 'note' | 'warning'; readonly text: string }
  /** What was noticed of the data: as notes and warnings are, with what it is about. */
  | ({ readonly kind: 'note' | 'warning' } & Omit<DataRemark, 'level'>)
  /** A file of the data that is left out. */
  | { readonly kind: 'quarantined'; readonly path: string; readonly reason: string }
  | DatasetProgress
  | PreparedEvent
  | {
      readonly kind: 'waiting';
      /** HOST:PORT that workers join. */
      readonly address: string;
      /** Holds what they must know; null when all workers are launched here. */
      readonly tokenFile: string | null;
      /** What they join with where each gets a certificate of its own: the token, unless they have it, and the hash of the authority. */
      readonly joining: { readonly token: string | null; readonly hash: string } | null;
      /** They bring certificates of the user's own authority; false unless given. */
      readonly tls?: boolean;
      /** Workers must be told that nothing is encrypted. */
      readonly insecure: boolean;
      readonly workers: number;
      readonly localWorkers: number;
    }
  | {
      readonly kind: 'assigned';
      readonly generation: number;
      readonly workers: readonly { readonly worker: string; readonly rank: number; readonly host: string }[];
    }
  | StepEvent
  | ({ readonly kind: 'epoch' } & EpochRecord)
  | { readonly kind: 'checkpoint'; readonly name: string; readonly step: number }
  | {
      readonly kind: 'worker-lost';
      readonly worker: string;
      readonly rank: number;
      readonly step: number;
      readonly reason: string;
    }
  /** Training goes on after workers were lost, left or joined. */
  | ({ readonly kind: 'recovered' } & RecoveredEvent)
  /** There are too few workers: the run waits for more. */
  | { readonly kind: 'short'; readonly workers: number; readonly needed: number }
  /** All workers that held the run's state are gone: it goes on from an earlier one. */
  | { readonly kind: 'rolled-back'; readonly fromStep: number; readonly toStep: number }
  | { readonly kind: 'stopping'; readonly reason: string }
  | ({ readonly kind: 'early-stop' } & EarlyStop)
  | ({ readonly kind: 'summary' } & Summary);

export interface DatasetProgress {
  readonly kind: 'dataset';
  readonly phase: string;
  /** What it is done to; images when it does not say. */
  readonly subject?: string;
  /** What `done` and `total` count; images when it does not say. */
  readonly unit?: 'bytes';
  readonly done: number;
  /** 0 when not known. */
  readonly total: number;
}

export interface PreparedEvent {
  readonly kind: 'prepared';
  readonly runId: string;
  readonly directory: string;
  readonly arch: string;
  readonly size: number;
  readonly workers: number;
  readonly classes: number;
  readonly train: number;
  readonly valid: number;
  readonly quarantined: number;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  /** The step it begins with: above 0 when resumed. */
  readonly startStep: number;
}

export interface StepEvent {
  readonly kind: 'step';
  readonly step: number;
  readonly epoch: number;
  readonly loss: number | null;
  readonly samples: number;
  readonly seconds: number;
  readonly skipped: boolean;
}

/** Why a generation of workers is followed by another. */
export type ChangeCause =
  /**
   * A worker is gone, silent, or stalls the others. `silentMs`: for how long nothing had been heard of it; within that
   * the loss was noticed.
   */
  | {
      readonly kind: 'loss';
      readonly workerId: string;
      readonly reason: string;
      readonly silentMs: number;
    }
  /** A worker says that it cannot reach another. */
  | { readonly kind: 'complaint'; readonly workerId: string; readonly reason: string }
  | { readonly kind: 'join' | 'leave'; readonly workerId: string }
  /** The coordinator died, and another one took its place. */
  | { readonly kind: 'restart' };

/** In words, such as "worker-1 was lost: it closed its session". */
export function describeCauses(causes: readonly ChangeCause[]): string {
  return causes.map(describeCause).join('; ');
}

function describeCause(cause: ChangeCause): string {
  switch (cause.kind) {
    case 'loss':
      return `${cause.workerId} was lost: ${cause.reason}`;
    case 'complaint':
      return `${cause.workerId} could not go on: ${cause.reason}`;
    case 'join':
      return `${cause.workerId} joined`;
    case 'leave':
      return `${cause.workerId} left`;
    case 'restart':
      return 'the coordinator was started again';
  }
}

/** A state that a worker copied from another. */
export interface CopiedState {
  readonly to: string;
  readonly from: string;
  readonly bytes: number;
  readonly seconds: number;
  /** 10⁶ bytes per second. */
  readonly megabytesPerSecond: number;
}

/** What a change of the membership was, and what it cost. */
export interface RecoveredEvent {
  readonly generation: number;
  readonly worldSize: number;
  /** The step it goes on with, counted from 0 over the run. */
  readonly step: number;
  readonly causes: readonly ChangeCause[];
  /** From the first cause's detection until all workers were ready. */
  readonly seconds: number;
  /** Steps that were under way and are taken again: 0 or 1. */
  readonly stepsRedone: number;
  readonly copies: readonly CopiedState[];
}

/** Why a phase ends before its last epoch. */
export interface EarlyStop {
  /** Names of the phase, and of the one that follows; null when the run ends with it. */
  readonly phase: string;
  readonly nextPhase: string | null;
  /** The phase's last epoch. */
  readonly epoch: number;
  /** Epochs of the phase without a lower validation loss. */
  readonly patience: number;
  /** The phase's best epoch; null when no loss was finite. */
  readonly bestEpoch: number | null;
  readonly validLoss: number | null;
}

/** Writes an event of a run to this process's log, for machines and for those who look for a fault. */
export function logEvent(event: RunEvent): void {
  if (event.kind === 'prepared') addLogFields({ run: event.runId });
  log(levelOf(event), event.kind, detailsOf(event));
}

function levelOf(event: RunEvent): LoggedLevel {
  switch (event.kind) {
    case 'step':
    case 'dataset':
      return 'debug';
    case 'warning':
    case 'quarantined':
    case 'worker-lost':
      return 'warn';
    case 'summary':
      return event.status === 'failed' ? 'error' : 'info';
    default:
      return 'info';
  }
}

function detailsOf(event: RunEvent): Readonly<Record<string, unknown>> {
  if (event.kind !== 'summary') {
    const { kind: _, ...details } = event;
    return details;
  }
  // What is long stands in summary.json.
  const { status, steps, totalSteps, wallSeconds, parameterDigest, recoveries, error } = event;
  return { status, steps, totalSteps, wallSeconds, parameterDigest, recoveries, error };
}
