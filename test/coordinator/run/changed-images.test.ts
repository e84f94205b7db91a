import { copyFile, cp, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { describeVerdict, verifyDefaults, verifyRun } from '../../../coordinator/cli/verify-run.js';
import { openDataset } from '../../../coordinator/dataset/dataset.js';
import { evaluateRun } from '../../../coordinator/inference/evaluate-run.js';
import { resolveStart } from '../../../coordinator/options/start-config.js';
import { prepareNewRun } from '../../../coordinator/run/prepare-run.js';
import { resumeRun } from '../../../coordinator/run/resume-run.js';
import { trainRun } from '../../../coordinator/run/train-run.js';
import { fakeRun } from '../../support/fake-run.js';
import { makeFolder, writeDataset } from '../../support/images.js';

const never = new AbortController().signal;
const signals = { signal: never, immediate: never };
const report = () => {};
const context = { report, signal: never, command: [] };

/** A run over a folder of real images, by a cluster that computes nothing. */
async function trainOnFolder() {
  const root = await makeFolder();
  vi.stubEnv('RONDO_CACHE', path.join(root, 'cache'));
  onTestFinished(() => void vi.unstubAllEnvs());
  const data = path.join(root, 'data');
  await writeDataset(data, 14, 4);
  const { services } = fakeRun({
    openDataset: (options) => openDataset({ ...options, cacheDir: path.join(root, 'cache') }),
  });
  const runs = path.join(root, 'runs');
  const start = resolveStart({
    ...{
      data,
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
  await trainRun(run, { services, report, signals, resume: 'again' });
  const { directory } = run;
  return {
    ...{ data, runs },
    verify: (elsewhere: { data?: string } = {}) =>
      verifyRun('mine', runs, { ...verifyDefaults, ...elsewhere }),
    evaluate: () => evaluateRun({ directory, workers: 1, services, report, signals }),
    resume: async () => {
      await rm(directory.summary);
      const resuming = resolveStart({ resume: 'mine', 'run-dir': runs });
      if (resuming.kind !== 'resume') throw new Error('is new');
      return resumeRun(resuming, { ...context, services });
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
