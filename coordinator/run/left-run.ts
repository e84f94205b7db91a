import type { RunConfig } from '../../plan/run-config.js';
import { createRunToken } from '../../runtime/grpc/credentials.js';
import { parseHostPort } from '../../runtime/host-port.js';
import type { LatestQueue, SavedEnd } from '../checkpoints/checkpoint-keeper.js';
import { reachableAddress } from '../cluster/run-access.js';
import { findLeftWorker } from '../launch/worker-process.js';
import type { Decided } from '../membership/cluster-events.js';
import type { Adopted } from '../membership/reattach.js';
import { defaults } from '../options/run-options.js';
import type { TrainingOptions } from '../options/start-schema.js';
import {
  type CoordinatorRecord,
  type CoordinatorRecordFile,
  openCoordinatorRecord,
  readCoordinatorRecord,
} from '../run-store/coordinator-record.js';
import { distinctKernels, type LedgerState } from '../run-store/ledger.js';
import type { LineFile } from '../run-store/line-file.js';
import type { RunDirectory } from '../run-store/run-directory.js';
import type { LeftRun, PreparedRun } from './prepare-run.js';
import { decideEarlyStop } from './train-phases.js';

/**
 * What a coordinator left; null when the last one ended in order. Its workers on this machine are ended when they
 * could not find the new one, because that is to listen elsewhere.
 */
export function findLeft(directory: RunDirectory, listen: string): Omit<LeftRun, 'adopted'> | null {
  const record = readCoordinatorRecord(directory.coordinator);
  if (record === null) return null;
  const address = record.address === '' ? '' : reachableAddress(record.address, null);
  const local = record.workers.flatMap(({ workerId, pid }) => findLeftWorker(address, workerId, pid) ?? []);
  if (!isSamePlace(listen, record.address)) {
    for (const worker of local) worker.kill('SIGKILL');
    return { record, lives: false };
  }
  // Of those that joined by hand, here or elsewhere, only they themselves can tell.
  const hasGuests =
    record.begun?.places.some(({ workerId }) => record.workers.every((each) => each.workerId !== workerId)) ??
    false;
  return { record, lives: local.length > 0 || hasGuests };
}

/** Whether a coordinator that is to listen at `listen` is found where the last one was. */
function isSamePlace(listen: string, before: string): boolean {
  if (listen === defaults.listen || listen === before) return true;
  const { host, port } = parseHostPort(listen);
  return port === 0 && before !== '' && parseHostPort(before).host === host;
}

/** What its workers go on with, by the record and the ledger; null when these do not fit together. */
export function findAdoptable(
  { begun, newest }: CoordinatorRecord,
  { steps, epochs, earlyStops }: LedgerState,
  { config, training }: { readonly config: RunConfig; readonly training: TrainingOptions },
): Adopted | null {
  const committed = (steps.at(-1)?.step ?? -1) + 1;
  // Where a phase ended early, the workers are to go on elsewhere.
  const isAhead = (earlyStops.at(-1) ?? 0) > committed;
  const endsPhase = decideEarlyStop(epochs, training.earlyStopping, config.phases) !== null;
  if (begun === null || committed < begun.startStep || isAhead || endsPhase) return null;
  return {
    newest: BigInt(newest),
    begun: { ...begun, number: BigInt(begun.number) },
    ...{ committed, closedEpoch: epochs.at(-1)?.epoch ?? -1 },
  };
}

/** Keeps what was decided. A generation begins at a step that the disk has. */
export function recordDecisions(ledger: LineFile, record: CoordinatorRecordFile): (decided: Decided) => void {
  return ({ newest, begun }) => {
    ledger.sync();
    record.change({ newest: Number(newest), begun: begun && { ...begun, number: Number(begun.number) } });
  };
}

/** The newest epoch's state may not have been saved when the coordinator died: its workers may still hold it. */
export function saveLeft(
  { left, restored, checkpoint }: PreparedRun,
  checkpoints: LatestQueue<SavedEnd>,
): void {
  const last = restored.epochs.at(-1);
  if (left?.adopted == null || last === undefined || (checkpoint?.record.step ?? 0) >= last.step) return;
  const { places, number: generation } = left.adopted.begun;
  const { epoch, step } = last;
  const holders = places.map(({ workerId, address }) => ({ workerId, address }));
  checkpoints.push({
    ...{ epoch, step, whole: true, stopped: false, endsPhase: false },
    holders,
    generation,
  });
}

/** The run's token, and the record for a coordinator that takes this one's place: those of the last, if workers have them. */
export function openRecord({ left, directory, early }: PreparedRun): {
  token: string;
  record: CoordinatorRecordFile;
} {
  const first = left?.lives
    ? left.record
    : {
        ...{
          address: '',
          token: early?.access.runToken ?? createRunToken(),
          nats: null,
          localWorkers: 0,
          workers: [],
        },
        ...{ newest: left?.record.newest ?? 0, begun: null },
      };
  return { token: first.token, record: openCoordinatorRecord(directory.coordinator, first) };
}

/** What the run's workers computed with, in words. */
export function knownKernels({ restored }: PreparedRun): { readonly knownKernels?: string } {
  const [first] = distinctKernels(restored.workers);
  return first === undefined ? {} : { knownKernels: first };
}
