import { stepsPerEpoch } from '../../plan/micro-batches.js';
import { totalEpochs, totalSteps } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { RunStatus } from '../../proto/run-status.js';
import { RondoError } from '../../runtime/errors.js';
import { createRunToken } from '../../runtime/grpc/credentials.js';
import type { RunControl, Scaling } from '../cluster/control.js';
import type { WorkerCounts } from '../options/start-config.js';
import { writeControlFile } from '../run-store/control-file.js';
import { removeTokenFile } from '../run-store/run-directory.js';
import type { RunEvent } from '../telemetry/run-events.js';
import type { OpenResources } from './open-resources.js';
import type { RunRecorder } from './run-recorder.js';
import type { RunServices } from './services.js';
import type { TrainContext } from './train-context.js';

/** Steps over which a run's speed is measured. */
const measuredSteps = 20;
/** For the last lines of the log to be taken. */
const lastLinesMs = 500;

export interface ControlledRun {
  readonly config: RunConfig;
  readonly counts: Pick<WorkerCounts, 'minWorkers' | 'maxWorkers'>;
  readonly recorder: Pick<RunRecorder, 'nextStep' | 'attempt' | 'recoveries'>;
  readonly resources: OpenResources;
  readonly log: RunControl['log'];
  /** Where workers are started elsewhere. */
  readonly scale?: TrainContext['scale'];
}

/** How fast a run is, by when its last steps were committed. */
export interface Pace {
  committed(nowMs: number): void;
  /** Null before there are two. */
  stepsPerSecond(): number | null;
}

export function measurePace(): Pace {
  const times: number[] = [];
  return {
    committed(nowMs) {
      times.push(nowMs);
      if (times.length > measuredSteps + 1) times.shift();
    },
    stepsPerSecond() {
      const seconds = (times.at(-1)! - times[0]!) / 1_000;
      return times.length < 2 || seconds <= 0 ? null : (times.length - 1) / seconds;
    },
  };
}

/** What a person may ask of the run and have it do. */
export function controlOf(
  { config, counts, recorder, resources, log, scale }: ControlledRun,
  pace: Pace,
): RunControl {
  const localIds = () => resources.workers?.workerIds ?? [];
  return {
    log,
    status(): RunStatus {
      const { members, ...cluster } = resources.cluster!.status();
      const local = localIds();
      const steps = recorder.nextStep;
      return {
        ...{ runId: config.runId, ...cluster, ...counts, steps, totalSteps: totalSteps(config) },
        epoch: Math.min(Math.floor(steps / stepsPerEpoch(config)), totalEpochs(config) - 1),
        totalEpochs: totalEpochs(config),
        attempt: recorder.attempt,
        stepsPerSecond: pace.stepsPerSecond(),
        recoveries: recorder.recoveries,
        members: members.map((member) => ({ ...member, local: local.includes(member.worker) })),
      };
    },
    async scale(workers): Promise<Scaling> {
      if (scale !== undefined) {
        requirePossible(workers, 0, counts);
        return scale(workers);
      }
      const local = localIds();
      const elsewhere = resources.cluster!.status().members.filter(({ worker }) => !local.includes(worker));
      const staying = elsewhere.filter(({ state }) => state !== 'leaving').length;
      requirePossible(workers, staying, counts);
      if (resources.workers === null) {
        throw new RondoError('failed-precondition', 'the run starts no workers on this machine', {
          remedy: 'start or stop its workers where they are: `worker join`, and SIGTERM to have one leave',
        });
      }
      return resources.workers.scale(workers - staying);
    },
  };
}

function requirePossible(
  workers: number,
  elsewhere: number,
  { minWorkers, maxWorkers }: ControlledRun['counts'],
): void {
  if (workers < minWorkers) {
    throw new RondoError(
      'invalid-argument',
      `with ${workers} workers the run would wait: it needs ${minWorkers} (--min-workers)`,
      { remedy: 'to end the run, give its coordinator Ctrl-C or SIGTERM: it can be resumed' },
    );
  }
  if (workers > maxWorkers) {
    throw new RondoError('invalid-argument', `the run takes at most ${maxWorkers} workers (--max-workers)`, {
      remedy: 'stop it, and resume it with a higher --max-workers',
    });
  }
  if (workers < elsewhere) {
    throw new RondoError(
      'invalid-argument',
      `${elsewhere} workers that were not started here take part, and only their own machines can stop them`,
      { remedy: 'end them there with SIGTERM: they leave in order' },
    );
  }
}

/**
 * Answers `coordinator status`, `logs` and `scale`, of this user and of operators elsewhere, until the run's resources
 * are closed. A run that cannot be asked goes on all the same, with a warning.
 *
 * @param file names the service and its secret, for this user alone.
 */
export async function openControl(
  control: RunControl,
  file: string,
  resources: OpenResources,
  {
    services,
    report,
  }: { readonly services: Pick<RunServices, 'serveControl'>; report(event: RunEvent): void },
): Promise<void> {
  resources.access?.operators?.serve(control);
  try {
    const token = createRunToken();
    const server = await services.serveControl(control, token);
    resources.control = {
      address: server.address,
      end(reason) {
        removeTokenFile(file);
        control.log.end(reason);
        // Those who follow the log are told.
        void server.close(lastLinesMs);
      },
    };
    writeControlFile(file, { address: server.address, token });
  } catch (thrown) {
    const text = `this run cannot be asked for its status, nor scaled: ${RondoError.from(thrown).message}`;
    report({ kind: 'warning', text });
  }
}
