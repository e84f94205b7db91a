import { copyFile, cp, mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { describeVerdict, verifyDefaults, verifyRun } from '../../../coordinator/cli/verify-run.js';
import { openDataset } from '../../../coordinator/dataset/dataset.js';
import { evaluateRun } from '../../../coordinator/inference/evaluate-run.js';
import { resolveStart } from '../../../coordinator/options/start-config.js';
import { prepareNewRun } from '../../../coordinator/run/prepare-run.js';
import { resumeRun } from '../../../coordinator/run/resume-run.js';
import { trainRun } from '../../../coordinator/run/train-run.js';
import { keepRunLog } from '../../../coordinator/terminal/run-log.js';
import { fakeRun } from '../../support/fake-run.js';
import { makeFolder, writeDataset } from '../../support/images.js';

const never = new AbortController().signal;
const signals = { signal: never, immediate: never };
const report = () => {};
const context = { report, signal: never, command: [] };

interface Places {
  readonly data?: string;
  readonly valid?: string;
}

/** A run over a folder of real images, by a cluster that computes nothing. */
async function trainOnFolder(apart = false) {
  const root = await makeFolder();
  vi.stubEnv('RONDO_CACHE', path.join(root, 'cache'));
  onTestFinished(() => void vi.unstubAllEnvs());
  const data = path.join(root, 'data');
  await writeDataset(data, 14, 4);
  const { services } = fakeRun({
    openDataset: (options) => openDataset({ ...options, cacheDir: path.join(root, 'cache') }),
  });
  const held = path.join(root, 'held');
  if (apart) await writeDataset(held, 6, 2);
  const runs = path.join(root, 'runs');
  const start = resolveStart({
    ...{
      data,
      ...(apart ? { valid: held } : {}),
      'run-dir': runs,
      name: 'mine',
      epochs: 2,
      arch: 'resnet18',
      'batch-size': 4,
      'micro-batch': 2,
    },
  });
  if (start.kind !== 'new') throw new Error('resumes');
  const run = await prepareNewRun(start, { ...context, services });
  run.unlock();
  await trainRun(run, { services, report, log: keepRunLog(() => 0), signals, resume: 'again' });
  const { directory } = run;
  return {
    ...{ data, held, runs },
    verify: (elsewhere: Places = {}) => verifyRun('mine', runs, { ...verifyDefaults, ...elsewhere }),
    evaluate: (moved: Places = {}) =>
      evaluateRun({ directory, workers: 1, moved, services, report, signals }),
    resume: async (elsewhere: Places = {}) => {
      await rm(directory.summary, { force: true });
      const resuming = resolveStart({ resume: 'mine', 'run-dir': runs, ...elsewhere });
      if (resuming.kind !== 'resume') throw new Error('is new');
      const resumed = await resumeRun(resuming, { ...context, services });
      if (resumed.kind === 'ready') resumed.run.unlock();
    },
  };
}

describe('a run whose images are still the same', () => {
  it('is verified with them, from wherever it is called', async () => {
    const { verify, data } = await trainOnFolder();
    const verdict = await verify();
    expect(verdict).toMatchObject({ ok: true, images: { status: 'unchanged', count: 14 } });
    expect(describeVerdict('mine', verdict)).toContain('14 images unchanged');
    await rename(data, `${data}-moved`);
    const away = await verify();
    expect(away).toMatchObject({ ok: true, images: { status: 'unavailable' } });
    expect(describeVerdict('mine', away)).toContain(
      `the images were not verified: there is no folder ${data}`,
    );
    expect(await verify({ data: `${data}-moved` })).toMatchObject({
      ok: true,
      images: { status: 'unchanged' },
    });
    await expect(verify({ data: `${data}-gone` })).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('a run that validates on a folder of its own', () => {
  it('finds it where it has moved to, apart from the data, and needs to be told once', async () => {
    const { data, held, verify, evaluate, resume } = await trainOnFolder(true);
    expect(await verify()).toMatchObject({ ok: true, images: { status: 'unchanged', count: 20 } });
    const away = path.join(path.dirname(held), 'far', 'away');
    await mkdir(path.dirname(away));
    await rename(held, away);
    const valid = expect.stringContaining('if it has moved, say where it is now: --valid DIR');
    await expect(resume()).rejects.toMatchObject({ code: 'not-found', remedy: valid });
    await expect(evaluate()).rejects.toMatchObject({ code: 'not-found', remedy: valid });
    const verdict = await verify();
    expect(verdict).toMatchObject({ ok: true, images: { status: 'unavailable' } });
    expect(describeVerdict('mine', verdict)).toContain(`there is no folder ${held}`);
    expect(describeVerdict('mine', verdict)).toContain('--valid DIR');
    await expect(resume({ valid: data })).rejects.toThrow('--valid and --data are both');

    const moved = { status: 'unchanged', count: 20 };
    expect(await verify({ valid: away })).toMatchObject({ ok: true, images: moved });
    expect((await evaluate({ valid: away })).dataset.validRoot).toBe(away);
    await resume({ valid: away });
    await resume();
    expect((await evaluate()).dataset.validRoot).toBe(away);
    expect(await verify()).toMatchObject({ ok: true, images: moved });

    await rename(data, `${data}-2`);
    expect(await verify({ data: `${data}-2` })).toMatchObject({ ok: true, images: moved });
    await resume({ data: `${data}-2` });
    expect(await verify()).toMatchObject({ ok: true, images: moved });
    await rm(path.join(away, 'a/0.jpg'));
    const gone = path.relative(`${data}-2`, path.join(away, 'a/0.jpg'));
    expect(await verify()).toMatchObject({ ok: false, images: { status: 'changed', missing: [gone] } });
  });

  it('refuses other images there', async () => {
    const { data, held, resume } = await trainOnFolder(true);
    const other = path.join(path.dirname(held), 'other');
    await cp(held, other, { recursive: true });
    await copyFile(path.join(data, 'b/13.jpg'), path.join(other, 'b/1.jpg'));
    await expect(resume({ valid: other })).rejects.toMatchObject({
      code: 'failed-precondition',
      remedy: expect.stringContaining('--valid DIR'),
    });
    await resume();
  });
});

describe('images that changed since a run began', () => {
  it('are named by verify-run, interpret and --resume, though names, sizes and times are the same', async () => {
    const { data, verify, evaluate, resume } = await trainOnFolder();
    for (const name of ['a/2.jpg', 'b/5.jpg']) {
      const file = path.join(data, name);
      const bytes = await readFile(file);
      await utimes(file, 1e9, 1e9);
      bytes[bytes.length - 3]! ^= 1;
      await writeFile(file, bytes);
      await utimes(file, 1e9, 1e9);
    }
    const named = expect.stringContaining('2 have changed (');
    const verdict = await verify();
    expect(verdict).toMatchObject({ ok: false, line: null, difference: named });
    if (verdict.images?.status !== 'changed') throw new Error('not noticed');
    expect([...verdict.images.changed].sort()).toEqual(['a/2.jpg', 'b/5.jpg']);
    for (const attempt of [evaluate, resume]) {
      const failure = await attempt().catch((error: unknown) => error as Error);
      expect(failure).toMatchObject({ code: 'failed-precondition', message: named });
      for (const name of ['a/2.jpg', 'b/5.jpg']) expect((failure as Error).message).toContain(name);
    }
  });

  it('are noticed in another folder that took the place of the first', async () => {
    const { data, verify, evaluate } = await trainOnFolder();
    await cp(data, `${data}-2`, { recursive: true });
    await rename(data, `${data}-1`);
    await rename(`${data}-2`, data);
    expect(await verify()).toMatchObject({ ok: true, images: { status: 'unchanged' } });
    await copyFile(path.join(data, 'a/0.jpg'), path.join(data, 'a/4.jpg'));
    await rm(path.join(data, 'b/1.jpg'));
    await copyFile(path.join(data, 'a/0.jpg'), path.join(data, 'a/new.jpg'));
    expect(await verify()).toMatchObject({
      ok: false,
      images: { status: 'changed', changed: ['a/4.jpg'], missing: ['b/1.jpg'] },
    });
    await expect(evaluate()).rejects.toThrow(
      '1 has changed (a/4.jpg), 1 is gone (b/1.jpg), 1 is new (a/new.jpg)',
    );
  });
});
