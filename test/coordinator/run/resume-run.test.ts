import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RondoError } from '../../../runtime/errors.js';
import { type Faults, fakeState } from '../../support/fake-run.js';
import { readJsonLines } from '../../support/run-files.js';
import { fresh, recipe, resume, runStart } from '../../support/start-run.js';
import { temporaryFolder, tinyDataset } from '../../support/tiny-run.js';

describe('a run that is resumed', () => {
  it('says that a completed one has nothing left to do', async () => {
    const runs = temporaryFolder();
    await runStart(runs, fresh);
    const again = await runStart(runs, resume);
    expect(again.code).toBe(0);
    expect(again.calls).toEqual([]);
    expect(again.events[0]).toEqual({
      kind: 'note',
      text: 'run mine is completed: all of its 9 steps are taken',
    });
  });

  it('says how to have the report that a completed run lacks', async () => {
    const runs = temporaryFolder();
    const { path, summary } = await runStart(runs, fresh);
    writeFileSync(join(path, 'summary.json'), JSON.stringify({ ...summary, report: null }));
    const again = await runStart(runs, resume);
    const text = `it has no report: \`coordinator interpret ${path}\` writes one`;
    expect(again.events[1]).toEqual({ kind: 'note', text });
    expect(again.calls).toEqual([]);
  });

  it('reports a run that was killed between its last step and its summary, from its last checkpoint', async () => {
    const runs = temporaryFolder();
    const { path } = await runStart(runs, fresh);
    for (const lost of ['summary.json', 'report']) rmSync(join(path, lost), { recursive: true });
    const resumed = await runStart(runs, resume);
    expect(resumed.code).toBe(0);
    expect(resumed.events.filter(({ kind }) => kind === 'step')).toEqual([]);
    expect(resumed.loaded).toEqual([...fakeState(9).values]);
    expect(resumed.summary).toMatchObject({ status: 'completed', steps: 9, recoveries: 1 });
    expect(readJsonLines(join(path, 'report', 'predictions.jsonl'))).toHaveLength(5);
    expect(readFileSync(resumed.summary.report!, 'utf8')).toContain('evaluated after epoch 3 on');
  });

  it('is completed without a report when the evaluation for it fails', async () => {
    const runs = temporaryFolder();
    const { path } = await runStart(runs, fresh);
    rmSync(join(path, 'summary.json'));
    const { code, summary, events } = await runStart(runs, resume, {
      openCluster() {
        throw new RondoError('unavailable', 'no port is free');
      },
    });
    expect(code).toBe(0);
    expect(summary).toMatchObject({ status: 'completed', report: null });
    const text = 'the report could not be written: no port is free';
    expect(events).toContainEqual({ kind: 'warning', text });
  });

  it('takes its data from where it lies now, when it is the same, and is told so once', async () => {
    const runs = join(temporaryFolder(), "my run's");
    await runStart(runs, fresh, { loseWorkerAt: 4 });
    const asked: (string | undefined)[][] = [];
    const openDataset: Faults['openDataset'] = async ({ data, labelsFile }) => {
      asked.push([data, labelsFile]);
      return { dataset: tinyDataset(), quarantined: [] };
    };
    const moved = { data: '/new place/photos', labels: '/new place/labels.csv' };
    const failed = await runStart(runs, { ...resume, ...moved }, { loseWorkerAt: 7, openDataset });
    expect(asked).toEqual([[moved.data, moved.labels]]);
    const path = join(runs, 'mine').replaceAll("'", "'\\''");
    expect(failed.error?.remedy).toBe(`go on with: coordinator start --resume '${path}'`);
    const again = await runStart(runs, resume, { openDataset });
    expect(again.summary).toMatchObject({ status: 'completed', steps: 9 });
    expect(asked).toEqual(Array(2).fill([moved.data, moved.labels]));
  });

  it('refuses data that is not its own, and says how to name a place for data that is away', async () => {
    const runs = temporaryFolder();
    await runStart(runs, fresh, { loseWorkerAt: 4 });
    const other: Faults['openDataset'] = async () => ({
      ...{ dataset: { ...tinyDataset(), digest: 'other' }, quarantined: [] },
    });
    const there = await runStart(runs, { ...resume, data: '/elsewhere' }, { openDataset: other });
    expect(there.error).toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(/are not those that run mine began with/),
      remedy: expect.stringContaining('give --data the folder that holds them now'),
    });
    const here = await runStart(runs, resume, { openDataset: other });
    expect(here.error?.remedy).toContain('--data DIR');
    const away: Faults['openDataset'] = () =>
      Promise.reject(new RondoError('not-found', 'there is no folder /photos', { remedy: 'leave it out' }));
    const gone = await runStart(runs, resume, { openDataset: away });
    expect(gone.error).toMatchObject({
      exitCode: 2,
      message: 'there is no folder /photos',
      remedy: 'if it has moved, say where it is now: --data DIR',
    });
    expect((await runStart(runs, resume)).code).toBe(0);
  });

  it('refuses other options than the run’s, and takes the same', async () => {
    const runs = temporaryFolder();
    await runStart(runs, fresh, { loseWorkerAt: 7 });
    const { error } = await runStart(runs, { ...resume, size: 96 });
    expect(error).toMatchObject({ exitCode: 2, message: '--size is 96, but run mine was started with 64' });
    expect((await runStart(runs, { ...resume, ...recipe })).code).toBe(0);
  });

  it('refuses other data than the run’s', async () => {
    const runs = temporaryFolder();
    const { path } = await runStart(runs, fresh, { loseWorkerAt: 7 });
    const file = join(path, 'run.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"datasetDigest": "d+"/, '"datasetDigest": "e"'));
    const { error } = await runStart(runs, resume);
    expect(error).toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining('/nowhere'),
    });
  });

  it('refuses a checkpoint of another run', async () => {
    const runs = temporaryFolder();
    const { path } = await runStart(runs, fresh, { loseWorkerAt: 7 });
    const file = join(path, 'run.json');
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replaceAll('"seed": 42,\n    "arch"', '"seed": 43,\n    "arch"'),
    );
    const { error } = await runStart(runs, resume);
    expect(error).toMatchObject({ code: 'data-loss', message: expect.stringContaining('epoch-0001') });
  });

  it.each([
    ['threads', 1, 2, '1'],
    ['lanes', 1, 3, '1'],
    ['ema', null, 0.9, null],
  ] as const)(
    'takes --%s that was left to the machine as the machine decided',
    async (name, same, other, was) => {
      const runs = temporaryFolder();
      await runStart(runs, fresh, { loseWorkerAt: 7 });
      const refused = await runStart(runs, { ...resume, [name]: other });
      expect(refused.error).toMatchObject({
        code: 'invalid-argument',
        message: expect.stringContaining(was === null ? 'was started without it' : `was started with ${was}`),
      });
      if (same === null) return;
      expect(await runStart(runs, { ...resume, [name]: same })).toMatchObject({ code: 0, error: null });
    },
  );
});
