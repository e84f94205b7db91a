import { natsTokenVariable } from '../../runtime/nats-url.js';
import type { LineFile } from '../run-store/line-file.js';
import type { RunEvent } from '../telemetry/run-events.js';
import type { Stage } from './open-resources.js';
import type { PreparedRun } from './prepare-run.js';
import type { RunServices } from './services.js';

/**
 * Opens the way from NATS into metrics.jsonl, on a server of its own unless --nats names one. Puts what it opened on
 * the stage and returns how workers reach the server.
 */
export async function openMetricsIntake({
  run,
  services,
  report,
  stage,
  file,
}: {
  run: PreparedRun;
  services: RunServices;
  report(event: RunEvent): void;
  stage: Stage;
  file: LineFile;
}): Promise<{ url: string; token: string }> {
  const { config, directory, restored, runtime } = run;
  if (runtime.nats === null) {
    stage.server = await services.startMetricsServer({ storeDir: directory.nats });
  }
  const { url, token } = stage.server ?? {
    url: runtime.nats!,
    token: process.env[natsTokenVariable] ?? '',
  };
  stage.collector = await services.openCollector({
    ...{ url, token },
    runId: config.runId,
    onMetric: file.append,
    onFailure: (error) =>
      report({ kind: 'warning', text: `metrics are no longer written: ${error.message}` }),
  });
  const step = restored.steps.length;
  stage.collector.publish({ kind: 'event', event: step === 0 ? 'started' : 'resumed', step });
  return { url, token };
}
