import { randomUUID } from 'node:crypto';
import { checkWeightsJob } from '../proto/jobs.js';
import { createDeferred } from '../runtime/deferred.js';
import { RondoError } from '../runtime/errors.js';
import { parseHostPort } from '../runtime/host-port.js';
import { installation, version } from '../runtime/installation.js';
import { fetchImagenetWeights } from './checkpoints/torchvision-weights.js';
import { openCluster } from './cluster/cluster.js';
import { serveControl } from './cluster/control.js';
import { pullState } from './cluster/pull-state.js';
import { serveVerifiers } from './cluster/remote-verifiers.js';
import { openAccess } from './cluster/run-access.js';
import { openData } from './dataset/open-data.js';
import { findGpus } from './launch/gpus.js';
import { launchWorkers } from './launch/launcher.js';
import { startNatsServer } from './launch/nats-server.js';
import { runWorkerJob } from './launch/run-job.js';
import { relayVariable } from './launch/worker-environment.js';
import { reportDefaults, writeReport } from './report/write-report.js';
import type { RunServices } from './run/services.js';
import { openCollector } from './telemetry/collector.js';

/** A run's services on this machine. */
export const localServices: RunServices = {
  openDataset: (options) => openData({ ...options, cacheDir: installation().cacheDir }),
  fetchWeights: (arch, options) =>
    fetchImagenetWeights(arch, { ...options, cacheDir: installation().cacheDir }),
  checkWeights: (request, options) => runWorkerJob(checkWeightsJob, request, options),
  async startMetricsServer({ storeDir, access, runId, listen, port: wanted, earlier, outlivesMs }) {
    const end = new AbortController();
    let ending = false;
    const { authority } = access;
    const certificates = () =>
      authority === null
        ? undefined
        : {
            ...{ host: parseHostPort(listen).host, runId, workerIds: authority.workerIds() },
            identity: authority.credentials.identity,
          };
    const start = (place: { port?: number; token?: string }) =>
      startNatsServer({
        ...{ ...place, storeDir, signal: end.signal, earlier, outlivesMs },
        certificates: certificates(),
      });
    const anywhere = () => start(wanted === null ? {} : { port: wanted });
    // Where workers look for it, if nobody else is there now.
    const { port, token: same } = earlier ?? {};
    const server = await (earlier === null ? anywhere() : start({ port, token: same }).catch(anywhere));
    authority?.onChange(() => {
      if (!ending) server.reload(certificates()!);
    });
    const { url, token, pid, guardPid } = server;
    const failure = createDeferred<RondoError>();
    void server.exited.then(() => {
      if (!ending) failure.resolve(new RondoError('unavailable', 'nats-server has ended by itself'));
    });
    return {
      ...{ url, token, certificates: authority !== null, failed: failure.promise },
      server: { port: server.port, token, pid, guardPid },
      outlive: server.outlive,
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
  openAccess,
  serveVerifiers: (options) => serveVerifiers({ ...options, version }),
  openCluster: ({ access, ...options }) => openCluster({ ...options, ...access, version }),
  launchWorkers({ threads, cacheGib, access, ...options }) {
    return launchWorkers({
      ...{ ...options, threadsPerWorker: threads, gpus: findGpus(), env: access.workerEnvironment },
      coordinatorAddress: process.env[relayVariable] ?? options.coordinatorAddress,
      arguments: ['--cache-gib', String(cacheGib), ...access.workerArguments],
    });
  },
  serveControl,
  pullState: (address, { access, ...options }) =>
    pullState(address, { ...options, credentials: access.credentials }),
  async writeReport(content) {
    const { index } = await writeReport({ ...reportDefaults, ...content });
    return index;
  },
  nowMs: () => performance.now(),
};
