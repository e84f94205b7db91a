import type { Summary } from '../../coordinator/run-store/summary.js';
import type { RunEvent } from '../../coordinator/telemetry/run-events.js';

export const prepared: RunEvent = {
  kind: 'prepared',
  runId: 'mine',
  directory: 'runs/mine',
  arch: 'resnet34',
  size: 64,
  workers: 2,
  classes: 10,
  train: 640,
  valid: 160,
  quarantined: 0,
  epochs: 3,
  stepsPerEpoch: 10,
  startStep: 0,
};
export const waiting: RunEvent = {
  ...{
    kind: 'waiting',
    address: '127.0.0.1:7',
    tokenFile: null,
    joining: null,
    insecure: false,
    workers: 2,
    localWorkers: 2,
  },
};
export const assigned: RunEvent = { kind: 'assigned', generation: 1, workers: [] };
export const step = (index: number, seconds = 2): RunEvent => ({
  kind: 'step',
  step: index,
  epoch: Math.floor(index / 10),
  loss: 1.5,
  samples: 64,
  seconds,
  skipped: false,
});
export const epoch: Extract<RunEvent, { kind: 'epoch' }> = {
  kind: 'epoch',
  epoch: 0,
  train_loss: 1.903421,
  valid_loss: 1.5,
  error_rate: 0.25,
  balanced_error: 0.3,
  macro_f1: 0.7,
  top5_error: 0.05,
  seconds: 25,
  imagesPerSecond: 32.04,
};
export const summary: Summary = {
  status: 'completed',
  runId: 'mine',
  directory: 'runs/mine',
  arch: 'resnet34',
  classes: ['a', 'b'],
  counts: { train: 640, valid: 160, quarantined: 0 },
  worldSize: 2,
  steps: 30,
  totalSteps: 30,
  skippedSteps: 0,
  earlyStopped: false,
  bestEpoch: null,
  bestCheckpoint: null,
  epochs: [epoch],
  parameterDigest: 'p',
  quarantined: [],
  recoveries: 0,
  kernels: [],
  metrics: { published: 10, dropped: 0 },
  wallSeconds: 75,
  error: null,
  resume: null,
  report: 'runs/mine/report/index.html',
};
