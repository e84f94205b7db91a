import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { adoptArch } from '../../../coordinator/checkpoints/source-run.js';
import { start } from '../../../coordinator/cli/start.js';
import type { RawStart } from '../../../coordinator/options/start-schema.js';
import type { RunRecord } from '../../../coordinator/run-store/run-directory.js';
import type { RunEvent } from '../../../coordinator/telemetry/run-events.js';
import { RondoError } from '../../../runtime/errors.js';
import { parseSafetensorsHeader } from '../../../runtime/safetensors.js';
import { type Faults, fakeRun, fakeState } from '../../support/fake-run.js';
import { memoryOutput } from '../../support/memory-output.js';
import { openRunFolder } from '../../support/run-folder.js';
import { tinyDataset } from '../../support/tiny-run.js';

const folder = openRunFolder();
const recipe = { data: 'photos', size: 64, 'batch-size': 8, 'micro-batch': 4 };
const names = [
  'conv1.weight',
  'head.8.weight',
  'fc.bias',
  'bn1.running_mean',
  'optimizer.first.conv1.weight',
];
/** Every checkpoint of the run called `first` has these tensors. */
const pullState: Faults['pullState'] = async (_, { step }) => fakeState(step, names);

interface Started {
  readonly error: RondoError | null;
  readonly events: readonly RunEvent[];
  readonly record: RunRecord;
  /** What workers were given to begin with. */
  readonly pretrainedPath: string | null | undefined;
}

async function run(name: string, raw: RawStart, faults: Faults = {}): Promise<Started> {
  let pretrainedPath: string | null | undefined;
  const { services } = fakeRun({ pullState, ...faults });
  const output = memoryOutput();
  const never = new AbortController().signal;
  const environment = {
    services: {
      ...services,
      openCluster(options: Parameters<typeof services.openCluster>[0]) {
        pretrainedPath = options.pretrainedPath;
        return services.openCluster(options);
      },
    },
    output,
    argv: ['node', '/bin/coordinator'],
    openLifecycle: () => ({ signal: never, immediate: never, close() {} }),
    exit: () => {},
  };
  const all = {
    ...recipe,
    'run-dir': folder.path,
    json: true,
    ...(raw.resume === undefined ? { name } : {}),
    ...raw,
  };
  const error = await start(all, environment).then(() => null, RondoError.from);
  const file = join(folder.path, name, 'run.json');
  const record = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as RunRecord) : (null as never);
  return {
    error,
    events: output.lines().map((line) => JSON.parse(line) as RunEvent),
    record,
    pretrainedPath,
  };
}

function tensorsIn(path: string): Record<string, number[]> {
  const bytes = readFileSync(path);
  const { entries } = parseSafetensorsHeader(bytes, bytes.length, path);
  return Object.fromEntries(
    entries.map(({ name, start, end }) => [
      name,
      [...new Float32Array(new Uint8Array(bytes.subarray(start, end)).buffer)],
    ]),
  );
}

/** The values of one tensor in the state after `step` steps. */
function valuesAt(step: number, name: string): number[] {
  return [...fakeState(step, names).values.slice(6 * names.indexOf(name), 6 * names.indexOf(name) + 6)];
}

beforeAll(async () => {
  const pretrained = join(folder.path, 'run-folder.weights');
  writeFileSync(pretrained, 'weights');
  const { error } = await run('first', { arch: 'resnet18', pretrained, 'freeze-epochs': 2, epochs: 3 });
  expect(error).toBeNull();
});

describe('start --from', () => {
  it('begins with a stage’s weights and statistics, without its moments', async () => {
    const { error, record, pretrainedPath, events } = await run('second', {
      from: 'first/checkpoints/stage-1',
    });
    expect(error).toBeNull();
    expect(pretrainedPath).toBe(join(folder.path, 'second', 'initial.safetensors'));
    expect(tensorsIn(pretrainedPath!)).toEqual(
      Object.fromEntries(names.slice(0, 4).map((name) => [name, valuesAt(6, name)])),
    );
    expect(record.config).toMatchObject({
      arch: 'resnet18',
      pretrainedDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(record.training).toMatchObject({ from: 'first/checkpoints/stage-1', freezeEpochs: 4, epochs: 2 });
    expect(record.source).toEqual({
      runId: 'first',
      checkpoint: join(folder.path, 'first', 'checkpoints', 'stage-1'),
      step: 6,
      parameterDigest: 'parameters-6',
      head: 'taken over',
    });
    expect(events).toContainEqual({ kind: 'note', text: 'starting from stage-1 of run first (step 6)' });
  });

  it('takes a run’s best checkpoint when only the run is named', async () => {
    const { record } = await run('third', { from: join(folder.path, 'first') });
    // All epochs are alike in error rate: the first it is.
    expect(record.source).toMatchObject({ runId: 'first', step: 3 });
  });

  it('begins with a fresh head when the classes differ, and says so', async () => {
    const dataset = { ...tinyDataset(), classes: ['dog', 'cat'] };
    const openDataset = async () => ({ dataset, quarantined: [] });
    const { record, pretrainedPath, events } = await run('fourth', { from: 'first' }, { openDataset });
    expect(Object.keys(tensorsIn(pretrainedPath!))).toEqual(['conv1.weight', 'bn1.running_mean']);
    expect(record.source?.head).toBe('fresh');
    const text = expect.stringContaining('with a fresh head: its classes differ');
    expect(events).toContainEqual({ kind: 'note', text });
  });

  it('takes averaged weights where the run kept them', async () => {
    const averaged = ['conv1.weight', 'bn1.running_mean', 'average.conv1.weight'];
    await run(
      'averaged',
      { arch: 'resnet18', epochs: 1 },
      { pullState: async (_, { step }) => fakeState(step, averaged) },
    );
    const { pretrainedPath } = await run('fifth', { from: 'averaged' });
    const { values } = fakeState(3, averaged);
    expect(tensorsIn(pretrainedPath!)).toEqual({
      'conv1.weight': [...values.slice(12, 18)],
      'bn1.running_mean': [...values.slice(6, 12)],
    });
  });

  it('resumes a run that was cut off before its first checkpoint with the same weights', async () => {
    const failed = await run('sixth', { from: 'first' }, { loseWorkerAt: 1 });
    expect(failed.error?.code).toBe('unavailable');
    const resumed = await run('sixth', { resume: 'sixth' });
    expect(resumed.error).toBeNull();
    expect(resumed.pretrainedPath).toBe(failed.pretrainedPath);
  });

  it.each<[RawStart, string, string]>([
    [{ from: 'frist' }, 'there is no run "frist"', 'did you mean first?'],
    [{ from: 'first/checkpoints/stage-2' }, 'there is no run "first/checkpoints/stage-2"', ''],
    [
      { from: 'first', arch: 'resnet50' },
      '--arch is resnet50, but run first, which --from names, trained resnet18',
      'leave --arch out',
    ],
  ])('refuses %j, and leaves no directory', async (raw, message, remedy) => {
    const { error } = await run('refused', raw);
    expect(error).toMatchObject({ exitCode: 2, message: expect.stringContaining(message) });
    expect(error?.remedy).toContain(remedy);
    expect(existsSync(join(folder.path, 'refused'))).toBe(false);
  });
});

describe('adoptArch', () => {
  it('takes architecture and head from the run, unless they are given', async () => {
    const linear = await run('linear', { arch: 'resnet18', head: 'linear', epochs: 1 });
    expect(linear.error).toBeNull();
    const raw = { 'run-dir': folder.path, from: 'linear' };
    expect(adoptArch(raw)).toEqual({ ...raw, arch: 'resnet18', head: 'linear' });
    expect(adoptArch({ ...raw, head: 'fastai' })).toEqual({ ...raw, arch: 'resnet18', head: 'fastai' });
    expect(adoptArch({ ...raw, from: 'first' })).toMatchObject({ arch: 'resnet18', head: 'fastai' });
  });

  it('leaves other starts alone', () => {
    for (const raw of [
      {},
      { from: 'x', arch: 'resnet50', head: 'linear' },
      { from: 'x', resume: 'y' },
      { from: 7 },
    ]) {
      expect(adoptArch({ 'run-dir': folder.path, ...raw })).toEqual({ 'run-dir': folder.path, ...raw });
    }
  });
});

describe('start --pretrained imagenet', () => {
  it('fetches the architecture’s weights, and tells how far it is', async () => {
    const path = join(folder.path, 'run-folder.weights');
    const fetched: string[] = [];
    const fetchWeights: Faults['fetchWeights'] = async (arch, { onProgress }) => {
      fetched.push(arch);
      onProgress({ done: 5, total: 10 });
      return path;
    };
    const { error, pretrainedPath, events, record } = await run(
      'seventh',
      { arch: 'resnet50', pretrained: 'imagenet' },
      { fetchWeights },
    );
    expect([error, fetched, pretrainedPath]).toEqual([null, ['resnet50'], path]);
    expect(record.training.pretrained).toBe('imagenet');
    expect(record.source).toBeNull();
    const subject = "resnet50's weights";
    expect(events).toContainEqual({
      kind: 'dataset',
      phase: 'downloading',
      subject,
      unit: 'bytes',
      done: 5,
      total: 10,
    });
  });

  it('passes on what an offline machine is told', async () => {
    const offline = new RondoError('unavailable', 'cannot reach it', { remedy: 'put the file there' });
    const fetchWeights = () => Promise.reject(offline);
    const { error } = await run('eighth', { pretrained: 'imagenet' }, { fetchWeights });
    expect(error).toMatchObject({ code: 'unavailable', remedy: 'put the file there' });
  });

  it.each<[string, NonNullable<Faults['checkWeights']>, string]>([
    [
      'weights that do not fit',
      () => Promise.reject(new RondoError('invalid-argument', 'it is a web page')),
      'it is a web page',
    ],
    [
      'a head for other classes',
      async () => ({ tensors: 224, place: '', copies: [], headClasses: 37 }),
      'has 37 classes, but the data has 2',
    ],
  ])('refuses %s before the run has a folder', async (_, checkWeights, message) => {
    const pretrained = join(folder.path, 'run-folder.weights');
    const { error } = await run('ninth', { pretrained }, { checkWeights });
    expect(error).toMatchObject({ exitCode: 2, message: expect.stringContaining(message) });
    expect(existsSync(join(folder.path, 'ninth'))).toBe(false);
  });

  it('says where in a file the weights lie when that is not plain', async () => {
    const pretrained = join(folder.path, 'run-folder.weights');
    const place = { tensors: 216, place: 'state_dict.module.', copies: ['ema.module.'], headClasses: null };
    const { error, events } = await run('tenth', { pretrained }, { checkWeights: async () => place });
    expect(error).toBeNull();
    expect(events).toContainEqual({
      kind: 'note',
      text:
        'the weights are the 216 tensors under "state_dict.module." in run-folder.weights; ' +
        'left out: as many under "ema.module."',
    });
  });

  it('refuses a folder in place of a file', async () => {
    const { error } = await run('eleventh', { pretrained: folder.path });
    expect(error).toMatchObject({ exitCode: 2, message: expect.stringContaining('is a folder') });
    expect(existsSync(join(folder.path, 'eleventh'))).toBe(false);
  });
});
