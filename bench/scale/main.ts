// `npm run bench -- scale`: what breaks first as data and workers grow. The order is evaluated, not estimated; the
// index, the data set's message and the list of samples are made for a sample of their size and multiplied. The
// tables of docs/scale.md are what it prints.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { deadlinesOf, defaultSilenceMs } from '../../plan/deadlines.js';
import { openEpochOrder } from '../../plan/epoch-order.js';
import { cutMicroBatches, shareOf } from '../../plan/micro-batches.js';
import type { RunConfig } from '../../plan/run-config.js';
import { Dataset } from '../../proto/gen/coordinator.js';
import { readArguments, toCounts } from '../support/arguments.js';
import { publish } from '../support/publish.js';
import { runMain } from '../support/run-main.js';

const usage = 'Usage: npm run bench -- scale [--samples 1000000,10000000,100000000,1000000000] [--json]';
/** Of one worker's step, and of one sample in a shard; ImageNet's images are so large. */
const [samplesPerWorker, imageBytes, samplesPerShard] = [32, 110_000, 20_000];
const [microBatch, window, seed] = [16, 64, 1];
const worldSizes = [1, 10, 100, 1_000];
/** Limits of what stands: gRPC's message, V8's usual heap. */
const [messageBytes, heapBytes] = [2 ** 30, 4 * 2 ** 30];
/** Of ResNet34: channels that are normalized. */
const normalizedChannels = 8_512;
/** Of an int32 that sums gradients: what n of them leave of the largest is so much less log2 n (worker/model/exact-sum.ts). */
const sumBits = 27;
/** Requests that S3 answers per second and prefix (AWS's guide). */
const requestsPerPrefix = 5_500;

await runMain(async (args) => {
  const options = {
    samples: { type: 'string', default: '1000000,10000000,100000000,1000000000' },
    json: { type: 'boolean', default: false },
  } as const;
  const o = readArguments(usage, args, options, (values) => ({
    samples: toCounts('samples', values.samples),
    json: values.json,
  }));
  const perSample = measureSample();
  const bySamples = o.samples.map((samples) => planOf(samples, perSample));
  const byWorkers = worldSizes.map((workers) => clusterOf(workers, o.samples.at(-1)!));
  const report = { bench: 'scale', perSample, bySamples, byWorkers };
  const lines = [
    table(
      ['samples', 'open epoch ms', 'step of 1,024 ms', 'heap GB', 'message GB', 'index file GB', 'holds'],
      bySamples.map((row) => [
        row.samples.toLocaleString('en'),
        row.openMs.toFixed(1),
        row.stepMs.toFixed(2),
        (row.heapBytes / 1e9).toFixed(1),
        (row.messageBytes / 1e9).toFixed(2),
        (row.indexBytes / 1e9).toFixed(2),
        row.holds,
      ]),
    ),
    '',
    table(
      [
        'workers',
        'global batch',
        'shards of a step, all mixed',
        'in windows',
        'of one worker',
        'GET/s all mixed',
        'hops of the ring',
        'MB of statistics',
        'bits of a gradient',
        'reports/s to the coordinator',
      ],
      byWorkers.map((row) => [
        String(row.workers),
        String(row.batch),
        String(row.shardsMixed),
        String(row.shardsWindowed),
        String(row.shardsOfWorker),
        row.requestsPerSecond.toLocaleString('en'),
        String(row.hops),
        (row.statisticsBytes / 1e6).toFixed(1),
        row.gradientBits.toFixed(0),
        row.reportsPerSecond.toFixed(0),
      ]),
    ),
  ];
  publish(report, lines.join('\n'), o.json);
});

/** Bytes of one sample: in the message that workers fetch, in the heap, in the index file. */
function measureSample() {
  const count = 100_000;
  const make = () =>
    Array.from({ length: count }, (_, id) => ({
      path: `train/n0${1_440_764 + (id % 1_000)}/n0${1_440_764 + (id % 1_000)}_${id}.JPEG`,
      label: id % 1_000,
      ...{ width: 500, height: 375 },
      digest: id.toString(16).padStart(64, '0'),
      range: { shard: id % 50_000, block: id * 200, bytes: imageBytes },
    }));
  const collect = garbageCollector();
  collect();
  const before = process.memoryUsage().heapUsed;
  const train = make();
  collect();
  const heap = (process.memoryUsage().heapUsed - before) / count;
  const dataset: Dataset = { root: 's3://bucket/packed', classes: [], train, valid: [], digest: '' };
  const message = Dataset.encode(dataset).finish().length / count;
  const paths = train.reduce((sum, sample) => sum + Buffer.byteLength(sample.path), 0) / count;
  // Six numbers of four bytes, a digest, a path's length (coordinator/dataset/shard-index.ts).
  return { heap, message, index: 6 * 4 + 32 + 4 + paths };
}

/** Node offers it only where it is asked for. */
function garbageCollector(): () => void {
  setFlagsFromString('--expose_gc');
  return runInNewContext('gc') as () => void;
}

function planOf(samples: number, perSample: ReturnType<typeof measureSample>) {
  const order: RunConfig['order'] = { kind: 'full', version: 1 };
  const began = process.cpuUsage();
  const sampleAt = openEpochOrder({ seed, trainCount: samples, order }, 0);
  sampleAt(0);
  const openMs = cpuMs(began);
  const steps = 200;
  const start = process.cpuUsage();
  for (let step = 0; step < steps; step += 1) {
    for (let at = 0; at < 1_024; at += 1) sampleAt((step * 1_024 + at) % samples);
  }
  const stepMs = cpuMs(start) / steps;
  const [heap, message] = [samples * perSample.heap, samples * perSample.message];
  const holds = message > messageBytes ? 'no: message' : heap > heapBytes ? 'no: heap' : 'yes';
  return {
    samples,
    openMs,
    stepMs,
    heapBytes: heap,
    messageBytes: message,
    indexBytes: samples * perSample.index,
    holds,
  };
}

/** Processor time since then: others may use the machine. */
function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1_000;
}

/** Of a step in the middle of an epoch of `samples`, at a second a step. */
function clusterOf(workers: number, samples: number) {
  const batch = workers * samplesPerWorker;
  const shards = Math.ceil(samples / samplesPerShard);
  const counts = new Array<number>(shards).fill(samplesPerShard);
  const positions = Array.from({ length: batch }, (_, at) => Math.floor(samples / 2) + at);
  const shardsOf = (order: RunConfig['order'], some: readonly number[]) => {
    const sampleAt = openEpochOrder({ seed, trainCount: shards * samplesPerShard, order }, 0);
    return new Set(some.map((position) => Math.floor(sampleAt(position) / samplesPerShard))).size;
  };
  const windows: RunConfig['order'] = { kind: 'windows', version: 1, shards: window, counts };
  const { start, end } = shareOf(cutMicroBatches(batch, microBatch).length, 0, workers);
  const own = positions.slice(start * microBatch, end * microBatch);
  const { heartbeatMs } = deadlinesOf(defaultSilenceMs);
  const microBatches = batch / microBatch;
  return {
    ...{ workers, batch, hops: 2 * (workers - 1), requestsPerSecond: batch },
    shardsMixed: shardsOf({ kind: 'full', version: 1 }, positions),
    shardsWindowed: shardsOf(windows, positions),
    shardsOfWorker: shardsOf(windows, own),
    overPrefix: batch > requestsPerPrefix,
    // Every micro-batch has a slot of its own: two float32 of each channel.
    statisticsBytes: microBatches * 2 * 4 * normalizedChannels,
    gradientBits: sumBits - Math.log2(Math.max(4, microBatches)),
    reportsPerSecond: workers * (1 + 1_000 / heartbeatMs),
  };
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...rows.map(line)].join(
    '\n',
  );
}
