import { RondoError } from '../../runtime/errors.js';
import { natsTokenVariable, splitNatsUrl } from '../../runtime/nats-url.js';
import type { LineFile } from '../run-store/line-file.js';
import type { RunEvent } from '../telemetry/run-events.js';
import type { Stage } from './open-resources.js';
import type { PreparedRun } from './prepare-run.js';
import type { RunServices } from './services.js';

interface Intake {
  readonly run: PreparedRun;
  readonly services: RunServices;
  report(event: RunEvent): void;
  readonly stage: Stage;
  readonly file: LineFile;
}

/** How workers reach the server that takes their metrics; an empty `url` means that there is none. */
interface MetricsAddress {
  readonly url: string;
  readonly token: string;
}

/**
 * Opens the way from NATS into metrics.jsonl, on a server of its own unless --nats names one. Puts what it opened on
 * the stage and returns how workers reach the server. Where that cannot be the run goes on without its metrics, and says so
 * once: nothing of training depends on them.
 */
export async function openMetricsIntake(intake: Intake): Promise<MetricsAddress> {
  const { run, report, stage } = intake;
  try {
    return await open(intake);
  } catch (thrown) {
    const { message, remedy } = RondoError.from(thrown);
    const what =
      run.runtime.nats === null
        ? `its store is to be ${run.directory.nats}`
        : splitNatsUrl(run.runtime.nats).address;
    const text = `this run records no metrics, for NATS (${what}) is not to be had: ${message}`;
    report({ kind: 'warning', text: remedy === undefined ? text : `${text}. ${remedy}` });
    await stage.server?.close();
    stage.server = null;
    return { url: '', token: '' };
  }
}

async function open({ run, services, report, stage, file }: Intake): Promise<MetricsAddress> {
  const { config, directory, restored, runtime } = run;
  /** Once, whatever goes wrong first. */
  let warned = false;
  const warn = (error: RondoError) => {
    if (!warned) report({ kind: 'warning', text: `metrics are no longer recorded: ${error.message}` });
    warned = true;
  };
  if (runtime.nats === null) {
    stage.server = await services.startMetricsServer({ storeDir: directory.nats });
    void stage.server.failed.then(warn);
  }
  const { url, token } = stage.server ?? {
    url: runtime.nats!,
    token: process.env[natsTokenVariable] ?? '',
  };
  stage.collector = await services.openCollector({
    ...{ url, token },
    runId: config.runId,
    onMetric: file.append,
    onFailure: warn,
  });
  const step = restored.steps.length;
  stage.collector.publish({ kind: 'event', event: step === 0 ? 'started' : 'resumed', step });
  return { url, token };
}
