import { describe, expect, it } from 'vitest';
import { evaluateRun } from '../../../coordinator/inference/evaluate-run.js';
import { resolveStart } from '../../../coordinator/options/start-config.js';
import { prepareNewRun } from '../../../coordinator/run/prepare-run.js';
import type { RunServices } from '../../../coordinator/run/services.js';
import { trainRun } from '../../../coordinator/run/train-run.js';
import type { RunEvent } from '../../../coordinator/telemetry/run-events.js';
import { keepRunLog } from '../../../coordinator/terminal/run-log.js';
import type { RunConfig } from '../../../plan/run-config.js';
import { fakeRun } from '../../support/fake-run.js';
import { temporaryFolder, tinyDataset } from '../../support/tiny-run.js';

const never = new AbortController().signal;
const signals = { signal: never, immediate: never };
const report = () => {};

async function trainTiny(services: RunServices) {
  const start = resolveStart({
    ...{ data: 'x', 'run-dir': temporaryFolder(), name: 'tiny', epochs: 2, arch: 'resnet18' },
    ...{ 'batch-size': 8, 'micro-batch': 4 },
  });
  if (start.kind !== 'new') throw new Error('resumes');
  const run = await prepareNewRun(start, { services, report, signal: never, command: [] });
  await trainRun(run, { services, report, log: keepRunLog(() => 0), signals, resume: 'again' });
  return run.directory;
}

describe('evaluateRun', () => {
  it('has the workers evaluate the best checkpoint once, and says whose labels and paths they are', async () => {
    const fake = fakeRun();
    const directory = await trainTiny(fake.services);
    const configs: RunConfig[] = [];
    const services: RunServices = {
      ...fake.services,
      openCluster(options) {
        configs.push(options.config);
        return fake.services.openCluster(options);
      },
    };
    fake.loaded.length = 0;
    const events: RunEvent[] = [];
    const hear = (event: RunEvent) => void events.push(event);
    const evaluation = await evaluateRun({ directory, workers: 3, services, report: hear, signals });

    expect(configs.map(({ task }) => task)).toEqual([{ kind: 'evaluate' }]);
    const { step } = evaluation.checkpoint.record;
    const progress = events.filter((event) => event.kind === 'dataset' && event.phase === 'evaluating');
    expect(progress).toMatchObject([1, 3, 5].map((done) => ({ done, total: 5 })));
    // The fake's state after k steps begins with k.
    expect(fake.loaded[0]).toBe(step);
    expect(evaluation).toMatchObject({ step, epoch: evaluation.checkpoint.record.epoch });
    expect([...evaluation.sampleIds]).toEqual([0, 1, 2, 3, 4]);
    expect([...evaluation.labels]).toEqual([0, 1, 0, 1, 0]);
    expect(evaluation.paths).toEqual(Array.from(tinyDataset().valid, ({ path }) => path));
    expect(fake.calls.slice(-3)).toEqual(['launch 3', 'close cluster', 'close workers']);
  });

  it('takes the checkpoint that is named', async () => {
    const { services } = fakeRun();
    const directory = await trainTiny(services);
    const options = { directory, workers: 1, services, report, signals };
    expect((await evaluateRun({ ...options, checkpoint: 'epoch-0000' })).step).toBe(3);
    await expect(evaluateRun({ ...options, checkpoint: 'epoch-0009' })).rejects.toThrow('epoch-0009');
  });

  it('refuses images that are not those the run was validated on', async () => {
    const { services } = fakeRun();
    const directory = await trainTiny(services);
    const changed: RunServices = {
      ...services,
      async openDataset(options) {
        const opened = await services.openDataset(options);
        return { ...opened, dataset: { ...opened.dataset, digest: 'other' } };
      },
    };
    const options = { directory, workers: 1, services: changed, report, signals };
    await expect(evaluateRun(options)).rejects.toMatchObject({ code: 'failed-precondition' });
  });
});
