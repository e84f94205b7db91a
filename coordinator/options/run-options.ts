import { defaultSilenceMs } from '../../plan/deadlines.js';
import { type FloatType, floatTypes, type RingTransport, ringTransports } from '../../plan/run-config.js';
import { defaultDiskCacheGib } from '../../runtime/installation.js';
import { planOption, runtimeOption, trainingOption } from './option.js';
import {
  duration,
  flag,
  hostPort,
  integer,
  natsUrl,
  number,
  oneOf,
  path,
  plainName,
  text,
} from './value-types.js';

/** Defaults that other commands share with `coordinator start`. */
export const defaults = {
  workers: 1,
  minWorkers: 1,
  maxWorkers: 1024,
  /** Of a worker, in seconds. */
  silenceLimit: defaultSilenceMs / 1_000,
  keepCheckpoints: 2,
  listen: '127.0.0.1:0',
  runDir: 'runs',
} as const;

/** What says which epoch is best: the lower the better, but for macro F1. */
const epochMeasures = ['valid_loss', 'error_rate', 'balanced_error', 'macro_f1', 'top5_error'] as const;
export type EpochMeasure = (typeof epochMeasures)[number];

/** The workers, and how they and their metrics are reached. */
export const clusterOptions = {
  workers: runtimeOption({
    value: 'N',
    text: 'workers that the run begins with; their number changes the speed, not the result',
    type: integer(1, 1024),
    default: defaults.workers,
  }),
  localWorkers: runtimeOption({
    value: 'N',
    text: 'how many of them to start on this machine; the others join with `worker join`',
    type: integer(0, 1024),
    defaultText: 'all',
  }),
  minWorkers: runtimeOption({
    value: 'N',
    text: 'with fewer workers the run waits; with as many it goes on when others are lost or leave',
    type: integer(1, 1024),
    default: defaults.minWorkers,
  }),
  maxWorkers: runtimeOption({
    value: 'N',
    text: 'the most that may take part: others can join at any time, up to it',
    type: integer(1, 1024),
    default: defaults.maxWorkers,
  }),
  silenceLimit: runtimeOption({
    value: 'SECONDS',
    text: 'a worker that is not heard from for so long is lost; every other wait is a multiple of it',
    type: duration,
    default: defaults.silenceLimit,
  }),
  /** Null lets the machine decide. */
  threads: trainingOption<number | null>({
    value: 'N',
    text: 'threads of each worker, wherever it is: the same number gives the same weights, bit for bit',
    type: integer(1, 1024),
    default: null,
    defaultText: 'the cores of this machine, divided among its workers',
  }),
  mixed: planOption<'allow' | 'refuse'>({
    value: 'WHAT',
    text:
      'when workers compute with unlike kernels (processor, GPU, TensorFlow), whose last bits differ: allow warns, refuse ' +
      'takes only those that are like the first',
    type: oneOf(['allow', 'refuse']),
    default: 'allow',
  }),
  cacheGib: runtimeOption({
    value: 'GIB',
    text:
      'disk of this machine for the images that workers decoded, of all data sets together; those used longest ago are ' +
      'removed; as much again for what was fetched from URLs; 0 keeps none',
    type: integer(0, 999_999),
    defaultText: `RONDO_CACHE_GIB, else ${defaultDiskCacheGib}`,
  }),
  listen: runtimeOption({
    value: 'HOST:PORT',
    text:
      'where workers join; port 0 takes a free one. Beyond loopback, such as 0.0.0.0:7070, all connections are encrypted, and ' +
      'each worker gets a certificate',
    type: hostPort,
    default: defaults.listen,
  }),
  advertise: runtimeOption({
    value: 'HOST:PORT',
    text: 'how other machines reach the coordinator',
    type: hostPort,
    defaultText: 'where it listens',
  }),
  joinTokenFile: runtimeOption({
    value: 'FILE',
    text: 'holds the token that workers on other machines join with, ID.SECRET, where something else gave it to both',
    type: path('a file'),
    defaultText: 'one is made, and printed',
  }),
  insecure: runtimeOption({
    text:
      'no encryption and no certificates, beyond loopback too: whoever sees the traffic can read the data and take part; ' +
      "the run's NATS server stays on loopback: name one with --nats for the metrics of other machines",
    type: flag,
  }),
  tlsCa: runtimeOption({
    value: 'FILE',
    text: 'certificate authority of your own, instead of the one that the run makes: workers bring certificates of it',
    type: text('a file'),
  }),
  tlsCert: runtimeOption({
    value: 'FILE',
    text: "the coordinator's certificate of it, of the name coordinator.rondo.internal; read again when it is renewed",
    type: text('a file'),
  }),
  tlsKey: runtimeOption({ value: 'FILE', text: 'the key of that', type: text('a file') }),
  wire: planOption<FloatType>({
    value: 'TYPE',
    text: 'what gradients travel as: float32 or bfloat16',
    type: oneOf(floatTypes),
    default: 'float32',
    title: 'Gradients travel as',
    show: (type) => (type === 'float32' ? null : type),
  }),
  ring: planOption<RingTransport>({
    value: 'WAY',
    text:
      'how gradients travel between machines: sockets, or grpc at twice the cost, for networks that let only ' +
      'HTTP/2 through; the result is the same',
    type: oneOf(ringTransports),
    default: 'sockets',
  }),
  /** Null lets the machine decide. */
  lanes: trainingOption<number | null>({
    value: 'N',
    text: 'threads of each worker that carry gradients around a ring, 1 to 4',
    type: integer(1, 4),
    default: null,
    defaultText: '1, which on one machine needs no ring; more where machines have idle cores',
  }),
  health: runtimeOption({
    value: 'HOST:PORT',
    text:
      'serve /healthz, /readyz and /metrics (Prometheus) there, to anybody, without encryption, beyond loopback too: nothing in ' +
      'it is secret',
    type: hostPort,
    defaultText: 'nowhere',
  }),
  kubernetes: runtimeOption({
    text:
      'in a pod, as the chart in deploy/chart starts it: workers are the pods of a Job or StatefulSet, whose number it follows, and join by their ' +
      "service accounts' tokens; implies --supervised, and stays when the run is completed, until SIGTERM",
    type: flag,
  }),
  nats: runtimeOption({
    value: 'URL',
    text:
      'NATS server with JetStream for metrics; its token, or USER:PASSWORD, stands in the URL before the host, best in ' +
      '--config, or the token in RONDO_NATS_TOKEN',
    type: natsUrl,
    defaultText: 'one is started for the run',
  }),
  natsPort: runtimeOption({
    value: 'PORT',
    text: 'where the NATS server that is started for the run listens, on the host of --listen; for firewalls and pods',
    type: integer(1, 65_535),
    defaultText: 'a free one',
  }),
};

/** The run's folder, and what is kept and said of it. */
export const runOptions = {
  keepBest: trainingOption<EpochMeasure | null>({
    value: 'MEASURE',
    text:
      `marks the checkpoint of the epoch that is best by ${epochMeasures.slice(0, -1).join(', ')} or ` +
      `${epochMeasures.at(-1)} as checkpoints/best`,
    type: oneOf(epochMeasures),
    default: ({ earlyStopping }) => (earlyStopping === null ? null : 'valid_loss'),
    defaultText: 'valid_loss with --early-stopping, else none',
  }),
  checkpointSteps: runtimeOption({
    value: 'N',
    text: 'also saves a checkpoint after every N steps, counted over the run, as checkpoints/step-NNNNNN; training does not wait for it',
    type: integer(1, 1_000_000_000),
    defaultText: 'at the ends of epochs alone',
  }),
  checkpointMinutes: runtimeOption({
    value: 'MINUTES',
    text: 'also saves one when so long has passed since the last',
    type: number('a number of minutes from 0.01 to 100000', (n) => n >= 0.01 && n <= 100_000),
    defaultText: 'never',
  }),
  keepCheckpoints: runtimeOption({
    value: 'N',
    text: 'how many of the newest checkpoints are kept: N of epochs, and N inside them since; those named best and stage stay too',
    type: integer(1, 10_000),
    default: defaults.keepCheckpoints,
  }),
  runDir: runtimeOption({
    value: 'DIR',
    text: 'folder that holds the runs',
    type: text('a folder'),
    default: defaults.runDir,
  }),
  name: runtimeOption({
    value: 'NAME',
    text: "the run's name",
    type: plainName,
    defaultText: 'from the time and the architecture',
  }),
  resume: runtimeOption({
    value: 'RUN',
    text: 'go on with a run, by name or folder: with its workers where its coordinator died and they still train, else from its newest checkpoint; the recipe stays as it was; --data DIR, or --valid or --labels, once when they have moved',
    type: text('the name or folder of a run'),
  }),
  supervised: runtimeOption({
    text: 'for a coordinator that a supervisor starts again whenever it ends (Kubernetes, systemd): it goes on with the run --name where that is there, and SIGTERM leaves the run to the next one, whom the workers await while they train; Ctrl-C still stops it',
    type: flag,
  }),
  json: runtimeOption({
    text: 'one JSON object per line on standard output, and nothing else',
    type: flag,
  }),
};
