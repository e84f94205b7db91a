import { randomUUID } from 'node:crypto';
import { checkWeightsJob } from '../proto/jobs.js';
import { createDeferred } from '../runtime/deferred.js';
import { RondoError } from '../runtime/errors.js';
import { tokenCredentials } from '../runtime/grpc/credentials.js';
import { installation, version } from '../runtime/installation.js';
import { fetchImagenetWeights } from './checkpoints/torchvision-weights.js';
import { openCluster } from './cluster/cluster.js';
import { serveControl } from './cluster/control.js';
import { pullState } from './cluster/pull-state.js';
import { openData } from './dataset/open-data.js';
import { findGpus } from './launch/gpus.js';
import { launchWorkers } from './launch/launcher.js';
import { startNatsServer } from './launch/nats-server.js';
import { runWorkerJob } from './launch/run-job.js';
import { reportDefaults, writeReport } from './report/write-report.js';
import type { RunServices } from './run/services.js';
import { openCollector } from './telemetry/collector.js';

/** A run's services on this machine. */
export const localServices: RunServices = {
  openDataset: (options) => openData({ ...options, cacheDir: installation().cacheDir }),
  fetchWeights: (arch, options) =>
    fetchImagenetWeights(arch, { ...options, cacheDir: installation().cacheDir }),
  checkWeights: (request, options) => runWorkerJob(checkWeightsJob, request, options),
  async startMetricsServer({ storeDir, earlier, outlivesMs }) {
    const end = new AbortController();
    const start = (place: { port?: number; token?: string }) =>
      startNatsServer({ ...place, storeDir, signal: end.signal, earlier, outlivesMs });
    // Where workers look for it, if nobody else is there now.
    const { port, token: same } = earlier ?? {};
    const server = await (earlier === null ? start({}) : start({ port, token: same }).catch(() => start({})));
    const { url, token, pid, guardPid } = server;
    const failure = createDeferred<RondoError>();
    let ending = false;
    void server.exited.then(() => {
      if (!ending) failure.resolve(new RondoError('unavailable', 'nats-server has ended by itself'));
    });
    return {
      ...{ url, token, failed: failure.promise },
      server: { port: server.port, token, pid, guardPid },
      close() {
        ending = true;
        return server.close();
      },
      destroy() {
        ending = true;
        end.abort();
      },
    };
  },
  async openCollector(options) {
    const collector = await openCollector(options);
    // JetStream drops messages whose id it has seen; a resumed run must not reuse the ids of its earlier
    // process.
    const processId = randomUUID();
    let count = 0;
    return {
      ...collector,
      publish(metric) {
        count += 1;
        collector.publish(`coordinator-${processId}-${count}`, metric);
      },
    };
  },
  openCluster: ({ token, ...options }) =>
    openCluster({ ...options, credentials: tokenCredentials(token), version }),
  launchWorkers({ threads, cacheGib, ...options }) {
    return launchWorkers({
      ...{ ...options, threadsPerWorker: threads, gpus: findGpus() },
      arguments: ['--cache-gib', String(cacheGib)],
    });
  },
  serveControl,
  pullState: (address, { token, ...options }) =>
    pullState(address, { ...options, credentials: tokenCredentials(token) }),
  async writeReport(content) {
    const { index } = await writeReport({ ...reportDefaults, ...content });
    return index;
  },
  nowMs: () => performance.now(),
};
