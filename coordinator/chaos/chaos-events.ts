import type { FaultKind } from './faults.js';
import type { FaultFigures } from './figures.js';
import type { WatchedEvent } from './run-events.js';

export type RunName = 'undisturbed' | 'disturbed';

/** How a run ended. */
export interface RunOutcome {
  readonly steps: number;
  readonly samples: number;
  /** From its first step to its last. */
  readonly seconds: number;
  /** SHA-256 of weights, moments and running statistics, and of what is evaluated. */
  readonly stateDigest: string;
  readonly parameterDigest: string;
  /** What the ledger does not bear out; null when each epoch used each sample once. */
  readonly ledgerDifference: string | null;
}

export interface ChaosResult {
  /** The disturbed run ended as the other, its ledger is whole, no step was given up needlessly, and nothing was left. */
  readonly ok: boolean;
  readonly equal: boolean;
  readonly undisturbed: RunOutcome;
  readonly disturbed: RunOutcome;
  /** How fast the disturbed run was beside the other: 1 is as fast. */
  readonly goodput: number;
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  readonly figures: FaultFigures;
  /** Null where the system does not tell. */
  readonly processesLeft: readonly number[] | null;
  readonly sharedFilesLeft: readonly string[] | null;
  /** Of the two runs; null when it was removed. */
  readonly folder: string | null;
}

/** What is told of a trial while it goes on. Times count from the start of the run that it is of. */
export type ChaosEvent =
  | {
      readonly kind: 'progress';
      readonly run: RunName;
      readonly steps: number;
      /** 0 before it is known. */
      readonly totalSteps: number;
      readonly seconds: number;
    }
  | ({ readonly kind: 'outcome'; readonly run: RunName } & RunOutcome)
  | {
      readonly kind: 'fault';
      readonly fault: FaultKind;
      /** Whom it hits; null for the coordinator, and for scaling. */
      readonly worker: string | null;
      /** How long it lasts; 0 for what is over at once. */
      readonly lasts: number;
      /** Of a partition: what the worker is sent still arrives. */
      readonly oneWay: boolean;
      /** Workers before and after scaling. */
      readonly workers: readonly [number, number] | null;
      readonly steps: number;
      readonly seconds: number;
    }
  | {
      readonly kind: 'left-out';
      readonly fault: FaultKind;
      readonly reason: string;
      readonly seconds: number;
    }
  | { readonly kind: 'said'; readonly event: WatchedEvent; readonly seconds: number };
