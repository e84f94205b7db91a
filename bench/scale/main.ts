// `npm run bench -- scale`: what breaks first as data and workers grow. The order is evaluated, not estimated; the
// index, the data set's messages and the list of samples are made for a sample of their size and multiplied. The
// tables of docs/scale.md are what it prints.
import { createHash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { deadlinesOf, defaultSilenceMs } from '../../plan/deadlines.js';
import { openEpochOrder } from '../../plan/epoch-order.js';
import { cutMicroBatches, shareOf } from '../../plan/micro-batches.js';
import type { RunConfig } from '../../plan/run-config.js';
import { type Dataset, encodeDataset } from '../../proto/dataset.js';
import { DatasetChunk } from '../../proto/gen/coordinator.js';
import { type Sample, SampleColumns } from '../../runtime/storage/sample-columns.js';
import { readArguments, toCounts } from '../support/arguments.js';
import { publish } from '../support/publish.js';
import { runMain } from '../support/run-main.js';

const usage = 'Usage: npm run bench -- scale [--samples 1000000,10000000,100000000,1000000000] [--json]';
/** Of one worker's step, and of one sample in a shard; ImageNet's images are so large. */
const [samplesPerWorker, imageBytes, samplesPerShard] = [32, 110_000, 20_000];
const [microBatch, window, seed] = [16, 64, 1];
/** Samples of the step whose planning is timed. */
const measuredStep = 1_024;
const worldSizes = [1, 10, 100, 1_000];
/** Samples whose digests fit into one typed array (of Node 20, 4 GiB). */
const mostSamples = 2 ** 32 / 32;
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
  const { memory, message, largest } = perSample;
  const lines = [
    `a sample: ${memory.toFixed(1)} bytes in memory, ${message.toFixed(1)} sent, in messages of up to ${largest} bytes`,
    '',
    table(
      [
        'samples',
        'open epoch ms',
        'step of 1,024 ms',
        'by windows: epoch ms',
        'step ms',
        'memory GB',
        'sent GB',
        'sending s',
        'index file GB',
        'holds',
      ],
      bySamples.map((row) => [
        row.samples.toLocaleString('en'),
        ...[row.mixed, row.windowed].flatMap(({ openMs, stepMs }) => [openMs.toFixed(1), stepMs.toFixed(2)]),
        (row.memoryBytes / 1e9).toFixed(2),
        (row.messageBytes / 1e9).toFixed(2),
        (row.sendMs / 1e3).toFixed(1),
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
        'that a worker reads',
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
        row.readByWorker.toLocaleString('en'),
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

/** Of one sample: bytes in memory, in the messages that workers fetch and in the index file; processor time. */
function measureSample() {
  const count = 200_000;
  const collect = garbageCollector();
  collect();
  const before = memoryUsed();
  const train = new SampleColumns(count);
  let paths = 0;
  for (let id = 0; id < count; id += 1) {
    const sample = makeSample(id);
    paths += Buffer.byteLength(sample.path);
    train.append(sample);
  }
  train.finish();
  collect();
  const memory = (memoryUsed() - before) / count;
  const dataset: Dataset = { root: 's3://bucket/packed', classes: [], train, valid: [], digest: '' };
  let [message, largest] = [0, 0];
  const began = process.cpuUsage();
  for (const chunk of encodeDataset(dataset)) {
    const { length } = DatasetChunk.encode(chunk).finish();
    message += length / count;
    largest = Math.max(largest, length);
  }
  const sendMs = cpuMs(began) / count;
  // Six numbers of four bytes, a digest, a path's length (coordinator/dataset/shard-index.ts).
  return { memory, message, largest, sendMs, index: 6 * 4 + 32 + 4 + paths / count };
}

/** Images as ImageNet names them, in shards, in an order without order. */
function makeSample(id: number): Sample {
  const number = Math.imul(id + 1, 2_654_435_761) >>> 0;
  const folder = `n0${1_440_764 + 7_919 * (number % 1_000)}`;
  return {
    path: `train/${folder}/${folder}_${number % 30_000}.JPEG`,
    label: number % 1_000,
    ...{ width: 100 + (number % 900), height: 375 },
    digest: createHash('sha256').update(String(id)).digest('hex'),
    range: {
      shard: Math.floor(id / samplesPerShard),
      block: 215 * (id % samplesPerShard),
      bytes: imageBytes,
    },
  };
}

function memoryUsed(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Node offers it only where it is asked for. */
function garbageCollector(): () => void {
  setFlagsFromString('--expose_gc');
  return runInNewContext('gc') as () => void;
}

function planOf(samples: number, perSample: ReturnType<typeof measureSample>) {
  const mixed = timeOrder(samples, { kind: 'full', version: 1 });
  const windowed = timeOrder(samples, windowsOf(samples));
  const holds = samples > mostSamples ? 'no: digests' : 'yes';
  return {
    samples,
    ...{ mixed, windowed },
    memoryBytes: samples * perSample.memory,
    messageBytes: samples * perSample.message,
    sendMs: samples * perSample.sendMs,
    indexBytes: samples * perSample.index,
    holds,
  };
}

/** Processor time to open an epoch and to find a step's samples. */
function timeOrder(samples: number, order: RunConfig['order']) {
  const config = { seed, trainCount: samples, batchSize: measuredStep, microBatch, order };
  const began = process.cpuUsage();
  const sampleAt = openEpochOrder(config, 0);
  sampleAt(0);
  const openMs = cpuMs(began);
  const steps = 200;
  const start = process.cpuUsage();
  for (let step = 0; step < steps; step += 1) {
    for (let at = 0; at < measuredStep; at += 1) sampleAt((step * measuredStep + at) % samples);
  }
  return { openMs, stepMs: cpuMs(start) / steps };
}

function windowsOf(samples: number): RunConfig['order'] {
  const shards = Math.ceil(samples / samplesPerShard);
  const counts = Array.from({ length: shards }, (_, shard) =>
    Math.min(samplesPerShard, samples - shard * samplesPerShard),
  );
  return { kind: 'windows', version: 2, shards: window, counts };
}

/** Processor time since then: others may use the machine. */
function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1_000;
}

/** Of a step in the middle of an epoch of `samples`, at a second a step. */
function clusterOf(workers: number, samples: number) {
  const batch = workers * samplesPerWorker;
  const middle = Math.floor(samples / 2 / batch) * batch;
  const positions = Array.from({ length: batch }, (_, at) => middle + at);
  const shardsOf = (order: RunConfig['order'], some: readonly number[]) => {
    const sampleAt = openEpochOrder({ seed, trainCount: samples, batchSize: batch, microBatch, order }, 0);
    return new Set(some.map((position) => Math.floor(sampleAt(position) / samplesPerShard))).size;
  };
  const windows = windowsOf(samples);
  const { start, end } = shareOf(cutMicroBatches(batch, microBatch).length, 0, workers);
  const own = positions.slice(start * microBatch, end * microBatch);
  const { heartbeatMs } = deadlinesOf(defaultSilenceMs);
  const microBatches = batch / microBatch;
  return {
    ...{ workers, batch, hops: 2 * (workers - 1), requestsPerSecond: batch },
    shardsMixed: shardsOf({ kind: 'full', version: 1 }, positions),
    shardsWindowed: shardsOf(windows, positions),
    shardsOfWorker: shardsOf(windows, own),
    readByWorker: Math.ceil(samples / samplesPerShard / workers),
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
