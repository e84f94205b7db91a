import { EventEmitter, once } from 'node:events';
import type { Recorded } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import type { CoordinatorSession } from './coordinator-session.js';
import type { Upward } from './message-log.js';

/** The coordinator, through whichever session there is. What it must hear of is kept until it has recorded it. */
export interface CoordinatorLink
  extends Pick<CoordinatorSession, 'fetchDataset' | 'fetchPretrained' | 'fetchCheckpoint'> {
  /** Without a session, what is no report is dropped: it is told anew where it still matters. */
  send(message: Upward): void;
  /** From now on `session` is used; it is told again what is kept. */
  open(session: CoordinatorSession): void;
  close(): void;
  /** Drops what need not be told again. */
  drop(recorded: Recorded): void;
  /** Drops everything. */
  clear(): void;
  /** All ranks have reported the end of `epoch`. */
  closeEpoch(epoch: number): void;
  /**
   * Resolves when all ranks have reported the end of `epoch`: until then some rank must hold the state, or what a
   * lost worker did not report could not be done again. Resolves too when the coordinator is away: it would have
   * missed that worker meanwhile.
   *
   * @throws when `signal` aborts.
   */
  epochClosed(epoch: number, signal: AbortSignal): Promise<void>;
}

/** @param epochEndMs how long a rank waits at most for the others at an epoch's end. */
export function createCoordinatorLink({
  epochEndMs,
}: {
  readonly epochEndMs: () => number;
}): CoordinatorLink {
  let session: CoordinatorSession | null = null;
  let kept: Upward[] = [];
  let closedEpochs = 0;
  const changes = new EventEmitter();
  const noteClosed = (epochs: number) => {
    closedEpochs = Math.max(closedEpochs, epochs);
    changes.emit('change');
  };
  const present = () => {
    if (session === null) throw new RondoError('unavailable', 'the coordinator is away');
    return session;
  };
  return {
    send(message) {
      if (isReport(message)) kept.push(message);
      session?.send(message);
    },
    open(opened) {
      session = opened;
      for (const message of kept) opened.send(message);
    },
    close() {
      session = null;
      changes.emit('change');
    },
    drop(recorded) {
      kept = kept.filter((message) => !isRecorded(message, recorded));
      noteClosed(recorded.epochs);
    },
    clear() {
      kept = [];
      closedEpochs = 0;
    },
    closeEpoch: (epoch) => noteClosed(epoch + 1),
    async epochClosed(epoch, signal) {
      let isPatient = true;
      const endPatience = () => {
        isPatient = false;
        changes.emit('change');
      };
      const timer = setTimeout(endPatience, epochEndMs());
      try {
        while (isPatient && session !== null && closedEpochs <= epoch) {
          await once(changes, 'change', { signal });
        }
      } finally {
        clearTimeout(timer);
      }
    },
    fetchDataset: async () => present().fetchDataset(),
    fetchPretrained: async () => present().fetchPretrained(),
    fetchCheckpoint: (step) => present().fetchCheckpoint(step),
  };
}

/** What a rank did, and how its generation ended. */
export function isReport({ $case, value }: Upward): boolean {
  if ($case === 'failed') return value.generation > 0n;
  return ['stepCommitted', 'evaluation', 'epochCompleted', 'finished'].includes($case);
}

/** The same for every rank: all of them repeat a report, or none does. */
export function isRecorded(message: Upward, { steps, epochs }: Recorded): boolean {
  if (message.$case === 'stepCommitted') return message.value.step < steps;
  if (message.$case === 'evaluation') return message.value.epoch < epochs;
  if (message.$case !== 'epochCompleted') return false;
  const { whole, epoch, step } = message.value;
  return whole ? epoch < epochs : step <= steps;
}
