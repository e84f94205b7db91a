import { z } from 'zod';
import { deadlinesOf } from '../../plan/deadlines.js';
import { RondoError } from '../../runtime/errors.js';
import { coordinatorName } from '../../runtime/member-name.js';
import { natsMemberOf, natsTokenVariable, splitNatsUrl } from '../../runtime/nats-session.js';
import { parseJson } from '../../runtime/parse-json.js';
import type { RunAccess } from '../cluster/run-access.js';
import type { CoordinatorRecordFile } from '../run-store/coordinator-record.js';
import { type LineFile, readLastLine } from '../run-store/line-file.js';
import type { RunEvent } from '../telemetry/run-events.js';
import type { OpenResources } from './open-resources.js';
import type { PreparedRun } from './prepare-run.js';
import type { RunServices } from './services.js';

interface MetricsContext {
  readonly run: PreparedRun;
  readonly services: RunServices;
  report(event: RunEvent): void;
  readonly access: RunAccess;
  readonly resources: OpenResources;
  readonly file: LineFile;
  readonly record: CoordinatorRecordFile;
}

/** How workers reach the server that takes their metrics; an empty `url` means that there is none. */
export interface MetricsAddress {
  readonly url: string;
  readonly token: string;
  /** The server takes certificates instead, and each worker reaches it on the coordinator's host. */
  readonly certificates: boolean;
}

/**
 * Records metrics from NATS in metrics.jsonl, on a server of its own unless --nats names one. Adds the server
 * and the collector to `resources` and returns how workers reach the server. Where NATS cannot be opened the
 * run goes on without metrics and warns once: training does not depend on them.
 */
export async function recordMetrics(context: MetricsContext): Promise<MetricsAddress> {
  const { run, report, resources } = context;
  try {
    return await open(context);
  } catch (thrown) {
    const { message, remedy } = RondoError.from(thrown);
    const what =
      run.runtime.nats === null
        ? `its store is to be ${run.directory.nats}`
        : splitNatsUrl(run.runtime.nats).address;
    const text = `this run records no metrics, because NATS (${what}) cannot be used: ${message}`;
    report({ kind: 'warning', text: remedy === undefined ? text : `${text}. ${remedy}` });
    await resources.server?.close();
    resources.server = null;
    return { url: '', token: '', certificates: false };
  }
}

const numberedLine = z.object({ sequence: z.int().nonnegative() });

/** Of the last metric that was recorded; null without one. */
function readLastSequence(path: string): number | null {
  const line = readLastLine(path);
  if (line === null) return null;
  try {
    return parseJson(numberedLine, line, { name: path }).sequence;
  } catch {
    return null;
  }
}

async function open({
  run,
  services,
  report,
  access,
  resources,
  file,
  record,
}: MetricsContext): Promise<MetricsAddress> {
  const { config, directory, restored, runtime, left } = run;
  /** Once, whatever goes wrong first. */
  let warned = false;
  const warn = (error: RondoError) => {
    if (!warned) report({ kind: 'warning', text: `metrics are no longer recorded: ${error.message}` });
    warned = true;
  };
  let refused = false;
  const warnOfRefused = (error: RondoError) => {
    if (!refused)
      report({ kind: 'warning', text: `not recorded, because it is no metric: ${error.message}` });
    refused = true;
  };
  if (runtime.nats === null) {
    const earlier = left?.record.nats ?? null;
    const outlivesMs = deadlinesOf(runtime.silenceMs).absenceMs;
    resources.server = await services.startMetricsServer({
      ...{ storeDir: directory.nats, access, runId: config.runId, listen: runtime.listen },
      ...{ earlier, outlivesMs, port: runtime.natsPort },
    });
    record.change({ nats: resources.server.server });
    resources.server.outlive();
    void resources.server.failed.then(warn);
  }
  const {
    url,
    token,
    certificates = false,
  } = resources.server ?? { url: runtime.nats!, token: process.env[natsTokenVariable] ?? '' };
  resources.collector = await services.openCollector({
    ...{ url, token, member: certificates ? natsMemberOf(access.credentials, coordinatorName) : undefined },
    runId: config.runId,
    // What was published while there was no coordinator is taken too.
    after: left?.lives ? readLastSequence(directory.metrics) : null,
    onMetric: (metric, sequence) => file.append({ ...metric, sequence }),
    onRefused: warnOfRefused,
    onFailure: warn,
  });
  const step = restored.steps.length;
  resources.collector.publish({ kind: 'event', event: step === 0 ? 'started' : 'resumed', step });
  return { url, token, certificates };
}
