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
  let nats = runtime.nats === null ? null : splitToken(runtime.nats);
  if (nats === null) {
    stage.server = await services.startMetricsServer({ storeDir: directory.nats });
    nats = { url: stage.server.url, token: stage.server.token };
  }
  stage.collector = await services.openCollector({
    ...nats,
    runId: config.runId,
    onMetric: file.append,
    onFailure: (error) =>
      report({ kind: 'warning', text: `metrics are no longer written: ${error.message}` }),
  });
  const step = restored.steps.length;
  stage.collector.publish({ kind: 'event', event: step === 0 ? 'started' : 'resumed', step });
  return nats;
}

/** nats://TOKEN@HOST:PORT, as NATS's own tools take it. */
function splitToken(address: string): { url: string; token: string } {
  const url = new URL(address);
  const token = url.password === '' ? decodeURIComponent(url.username) : '';
  if (token !== '') url.username = '';
  return { url: url.href.replace(/\/$/, ''), token };
}
