import { resolve } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { resolveStart } from '../../../coordinator/options/start-config.js';
import type { RawStart } from '../../../coordinator/options/start-schema.js';
import { RondoError } from '../../../runtime/errors.js';

function resolveNew(raw: RawStart) {
  const start = resolveStart(raw);
  if (start.kind !== 'new') throw new Error('expected a new run');
  return start;
}

function refusal(raw: RawStart): RondoError {
  try {
    resolveStart(raw);
  } catch (error) {
    if (error instanceof RondoError) return error;
  }
  throw new Error(`accepted ${JSON.stringify(raw)}`);
}

describe('defaults', () => {
  it('trains on the sample set, small, and says so', () => {
    const { training, runtime, notes } = resolveNew({});
    expect(training).toMatchObject({
      data: 'sample',
      arch: 'resnet34',
      size: 48,
      head: 'linear',
      epochs: 5,
      lr: 3e-3,
    });
    expect(training).toMatchObject({ freezeEpochs: 0, pretrained: null, batchSize: 64, microBatch: 16 });
    expect(runtime).toEqual({
      workers: 1,
      localWorkers: 1,
      minWorkers: 1,
      maxWorkers: 1024,
      silenceMs: 5_000,
      checkpoints: { everySteps: null, everyMs: null, keep: 2 },
      cacheGib: 20,
      nats: null,
      natsPort: null,
      listen: '127.0.0.1:0',
      advertise: null,
      insecure: false,
      joinTokenFile: null,
      health: null,
      kubernetes: false,
      supervised: false,
      tls: null,
      runDir: 'runs',
      json: false,
    });
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain('--data');
  });

  it('takes a certificate of the user’s own with all its files, and starts no worker then', () => {
    const tls = { 'tls-ca': 'ca.pem', 'tls-cert': 'c.pem', 'tls-key': 'k.pem' };
    const { runtime } = resolveNew({ ...tls, workers: 3 });
    expect(runtime).toMatchObject({
      ...{ workers: 3, localWorkers: 0 },
      tls: { ca: 'ca.pem', cert: 'c.pem', key: 'k.pem' },
    });
    expect(refusal({ ...tls, 'local-workers': 1 }).message).toContain('have no certificate of --tls-ca');
    expect(refusal({ 'tls-ca': 'ca.pem' }).message).toContain('go together');
    expect(refusal({ ...tls, insecure: true }).message).toContain('--insecure and --tls-cert');
  });

  it('takes the size of the pixel cache from the environment, and from the option before that', () => {
    vi.stubEnv('RONDO_CACHE_GIB', '7');
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(resolveNew({}).runtime.cacheGib).toBe(7);
    expect(resolveNew({ 'cache-gib': '0' }).runtime.cacheGib).toBe(0);
    expect(resolveStart({ resume: 'mine', 'cache-gib': 3 }).runtime.cacheGib).toBe(3);
    vi.stubEnv('RONDO_CACHE_GIB', 'much');
    expect(refusal({}).message).toContain('RONDO_CACHE_GIB is "much"');
    expect(resolveNew({ 'cache-gib': 3 }).runtime.cacheGib).toBe(3);
  });

  it('trains own images at 224 px, without a note', () => {
    const { training, notes } = resolveNew({ data: 'photos' });
    expect(training).toMatchObject({ data: resolve('photos'), size: 224, epochs: 4, lr: 3e-3 });
    expect(notes).toEqual([]);
  });

  it('fine-tunes pretrained weights in two phases', () => {
    const { training } = resolveNew({ data: 'photos', pretrained: 'w.safetensors' });
    expect(resolveNew({ pretrained: 'w.safetensors' }).training.head).toBe('fastai');
    expect(training).toMatchObject({
      pretrained: resolve('w.safetensors'),
      freezeEpochs: 4,
      epochs: 2,
      lr: { max: 3e-3 },
      unfreezeLr: { min: 1e-6, max: 1e-4 },
    });
  });

  it('fine-tunes a run of one’s own likewise', () => {
    const { training } = resolveNew({ data: 'photos', from: 'first' });
    expect(training).toMatchObject({
      from: 'first',
      pretrained: null,
      freezeEpochs: 4,
      epochs: 2,
      lr: { max: 3e-3 },
    });
  });

  it('gives the rates of fine-tuning to the epochs that are all there is', () => {
    const { training } = resolveNew({ data: 'photos', pretrained: 'imagenet', 'freeze-epochs': 0 });
    expect(training).toMatchObject({
      pretrained: 'imagenet',
      lr: { min: 1e-6, max: 1e-4 },
      unfreezeLr: null,
    });
    const frozen = resolveNew({ data: 'photos', pretrained: 'imagenet', epochs: 0 });
    expect(frozen.training).toMatchObject({ freezeEpochs: 4, lr: { max: 3e-3 }, unfreezeLr: null });
  });

  it('knows data sets by name; a folder of that name has a path', () => {
    expect(resolveNew({ data: 'pets' }).training).toMatchObject({
      data: 'pets',
      size: 224,
      labelPattern: null,
    });
    expect(resolveNew({ data: './pets' }).training.data).toBe(resolve('pets'));
  });

  it('leaves the recipe’s further choices off', () => {
    expect(resolveNew({ data: 'photos' }).training).toMatchObject({
      head: 'fastai',
      labelSmoothing: 0,
      mixup: 0,
      clipNorm: null,
      ema: null,
      earlyStopping: null,
      keepBest: null,
    });
  });

  it('keeps the best by what early stopping looks at', () => {
    expect(resolveNew({ 'early-stopping': 3 }).training).toMatchObject({
      earlyStopping: 3,
      keepBest: 'valid_loss',
    });
    const both = { 'early-stopping': '3', 'keep-best': 'error_rate' };
    expect(resolveNew(both).training).toMatchObject({ earlyStopping: 3, keepBest: 'error_rate' });
  });

  it('divides as the data say unless told otherwise', () => {
    expect(resolveNew({}).training).toMatchObject({
      valid: null,
      validPct: 0.2,
      split: 'auto',
      skipBroken: false,
    });
    const given = { data: 'x', valid: 'held-out', split: 'auto', 'skip-broken': true };
    expect(resolveNew(given).training).toMatchObject({ valid: resolve('held-out'), skipBroken: true });
    expect(resolveNew({ data: 'x', split: 'stratified' }).training.split).toBe('stratified');
  });

  it('is frozen', () => {
    const start = resolveNew({});
    expect(Object.isFrozen(start)).toBe(true);
    expect(Object.isFrozen(start.training)).toBe(true);
    expect(Object.isFrozen(start.runtime)).toBe(true);
  });
});

describe('values', () => {
  it('takes text from the command line and YAML types from a file alike', () => {
    const line = { workers: '4', 'valid-pct': '0.1', lr: '1e-5,1e-3', seed: '0', 'batch-size': '32' };
    const file = { workers: 4, 'valid-pct': 0.1, lr: [1e-5, 1e-3], seed: 0, 'batch-size': 32 };
    expect(resolveStart(line)).toEqual(resolveStart(file));
    expect(resolveNew(line).training.lr).toEqual({ min: 1e-5, max: 1e-3 });
    for (const lr of [',1e-3', [null, 1e-3]]) expect(resolveNew({ lr }).training.lr).toEqual({ max: 1e-3 });
  });

  it('never makes the default micro-batch larger than the batch', () => {
    expect(resolveNew({ 'batch-size': 8 }).training.microBatch).toBe(8);
  });

  it('notes workers that will have nothing to compute', () => {
    const { notes } = resolveNew({ data: 'x', workers: 6 });
    expect(notes).toEqual([expect.stringContaining('2 of 6 workers')]);
  });

  it.each<[RawStart, string]>([
    [{ data: 'x', valid: 'v', 'valid-pct': 0.1 }, '--valid and --valid-pct both say which images'],
    [{ data: 'x', valid: 'v', split: 'stratified' }, '--valid and --split both say which images'],
    [{ valid: 'v' }, '--valid names the images to validate a network on that --data DIR trains'],
    [{ data: 'x', split: 'folder' }, '--split is "folder", but must be one of auto, random, stratified'],
    [{ workers: '0' }, '--workers is "0", but must be a whole number from 1 to 1024'],
    [{ workers: '2.5' }, '--workers is "2.5"'],
    [{ workers: '' }, '--workers is ""'],
    [{ workers: null }, '--workers is null'],
    [{ 'local-workers': 3, workers: 2 }, '--local-workers is 3, which is more than --workers 2'],
    [{ 'local-workers': 3 }, '--local-workers is 3, which is more than --workers 1'],
    [{ 'min-workers': 3, workers: 2 }, '--min-workers is 3, which is more than --workers 2'],
    [{ 'max-workers': 1, workers: 2 }, '--max-workers is 1, which is less than --workers 2'],
    [{ 'silence-limit': 0.1 }, '--silence-limit is 0.1, but must be a number of seconds from 0.5'],
    [{ data: ' ' }, '--data is " "'],
    [{ data: 'x', 'label-pattern': '(' }, '--label-pattern'],
    [{ data: 'x', 'label-pattern': 'no-group' }, 'exactly one capture group'],
    [{ data: 'x', 'label-pattern': '(a)(b)' }, 'exactly one capture group'],
    [{ labels: 'x.csv' }, '--labels names the images of --data DIR'],
    [{ data: 'x', labels: 'x.csv', 'label-pattern': '(a)' }, '--labels and --label-pattern both say'],
    [{ 'class-weights': 'heavy' }, 'one of none, balanced'],
    [{ 'label-pattern': '(a)' }, '--label-pattern reads labels from the file names of --data DIR'],
    [{ 'valid-pct': 20 }, '--valid-pct is 20, but must be a fraction above 0 and below 1'],
    [{ 'valid-pct': 0 }, '--valid-pct is 0'],
    [{ seed: -1 }, '--seed is -1'],
    [{ seed: 2 ** 32 }, '--seed is 4294967296'],
    [{ arch: 'resnet20' }, 'one of resnet18, resnet34, resnet50, resnet101, resnet152'],
    [{ size: 16 }, '--size is 16, but must be a whole number from 32 to 1024'],
    [{ size: '64px' }, '--size is "64px"'],
    [{ 'batch-size': 1 }, '--batch-size is 1'],
    [{ 'micro-batch': 32, 'batch-size': 16 }, '--micro-batch is 32, which is more than --batch-size 16'],
    [{ epochs: 0 }, '--epochs is 0, so there is nothing to train'],
    [{ 'freeze-epochs': 2 }, 'without --pretrained or --from the frozen layers would stay random'],
    [{ pretrained: 'imagenet', from: 'x' }, '--pretrained and --from both say'],
    [{ 'unfreeze-lr': 1e-4 }, 'there are no frozen epochs'],
    [{ pretrained: 'w', 'freeze-epochs': 0, 'unfreeze-lr': '1e-6,1e-4' }, 'there are no frozen epochs'],
    [{ pretrained: 'w', epochs: 0, 'unfreeze-lr': 1e-4 }, '--epochs is 0'],
    [{ from: 'x', 'unfreeze-lr': '1e-4,1e-6' }, '--unfreeze-lr is "1e-4,1e-6"'],
    [{ from: '' }, '--from is ""'],
    [{ lr: 0 }, '--lr is 0'],
    [{ lr: '1e-3,1e-5' }, 'min not above max'],
    [{ lr: '1,2,3' }, '--lr is "1,2,3"'],
    [{ lr: ',' }, '--lr is ","'],
    [{ lr: '1e-3,' }, '--lr is "1e-3,", but must be a number above 0 and up to 10'],
    [{ lr: ',11' }, '--lr is ",11"'],
    [{ pretrained: 'w', 'unfreeze-lr': ',0' }, '--unfreeze-lr is ",0"'],
    [{ lr: [] }, '--lr is []'],
    [{ lr: 'fast' }, '--lr is "fast"'],
    [{ 'weight-decay': 1 }, '--weight-decay is 1'],
    [
      { 'label-smoothing': 1 },
      '--label-smoothing is 1, but must be a number from 0 up to, but not including, 1',
    ],
    [{ mixup: -0.1 }, '--mixup is -0.1'],
    [{ 'clip-norm': 0 }, '--clip-norm is 0, but must be a number above 0'],
    [{ ema: 1 }, '--ema is 1, but must be a number above 0 and below 1'],
    [{ head: 'none' }, '--head is "none", but must be one of fastai, linear'],
    [{ 'early-stopping': 0 }, '--early-stopping is 0'],
    [
      { 'keep-best': 'accuracy' },
      '--keep-best is "accuracy", but must be one of valid_loss, error_rate, balanced',
    ],
    [{ precision: 'float16' }, 'one of float32, bfloat16'],
    [{ wire: 'int8' }, 'one of float32, bfloat16'],
    [{ nats: 'localhost:4222' }, '--nats is "localhost:4222", but must be a URL'],
    [{ 'cache-gib': -1 }, '--cache-gib is -1, but must be a whole number from 0'],
    [{ listen: '7070' }, '--listen is "7070"'],
    [{ listen: 'host:70700' }, '--listen is "host:70700"'],
    [{ name: 'a/b' }, '--name is "a/b"'],
    [{ name: '..' }, '--name is ".."'],
    [{ json: 'yes' }, '--json is "yes", but must be true or false'],
    [{ resume: 'x', name: 'y' }, '--name cannot be given with --resume'],
  ])('refuses %j', (raw, message) => {
    const error = refusal(raw);
    expect(error.message).toContain(message);
    expect(error.exitCode).toBe(2);
    expect(error.remedy).toBeTruthy();
  });

  it('names every wrong option at once', () => {
    const { message } = refusal({ workers: 0, size: 1 });
    expect(message).toContain('--workers');
    expect(message).toContain('--size');
  });
});

describe('resuming', () => {
  it('keeps only what was given, for comparison with the run', () => {
    expect(resolveStart({ resume: 'first', workers: '3', size: '96', pretrained: 'none' })).toMatchObject({
      kind: 'resume',
      run: 'first',
      workers: { workers: 3, localWorkers: undefined },
      given: { size: 96, pretrained: null },
    });
  });
});
