import { describe, expect, it } from 'vitest';
import { RondoError } from '../../../runtime/errors.js';
import type { Job } from '../../../worker/jobs/job.js';
import { findJob } from '../../../worker/jobs/registry.js';
import { serveJob } from '../../../worker/jobs/serve-job.js';

async function serve(job: Job, { input = ['{"n":', '3}'], signal = new AbortController().signal } = {}) {
  let written = '';
  const output = {
    write(text: string, done: () => void) {
      written += text;
      done();
    },
  };
  async function* read() {
    yield* input.map((part) => Buffer.from(part));
  }
  const outcome = await serveJob(async () => job, { input: read(), output }, signal).catch(
    (error: unknown) => error,
  );
  const lines = written.split('\n').filter((line) => line !== '');
  return { outcome, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('serveJob', () => {
  it('hands the request over and writes progress, items and at last the result', async () => {
    const { outcome, lines } = await serve(async ({ n }: { n: number }, { progress, item }) => {
      progress(0, n);
      item({ first: n });
      for (let done = 1; done <= n; done += 1) progress(done, n);
      return { sum: n + 1 };
    });
    expect(outcome).toBeUndefined();
    expect(lines[0]).toEqual({ kind: 'progress', done: 0, total: 3 });
    expect(lines).toContainEqual({ kind: 'item', value: { first: 3 } });
    expect(lines.at(-2)).toEqual({ kind: 'progress', done: 3, total: 3 });
    expect(lines.at(-1)).toEqual({ kind: 'result', sum: 4 });
  });

  it('writes the error that the job threw, and rejects with it', async () => {
    const { outcome, lines } = await serve(async () => {
      throw new RondoError('not-found', 'no such file', { remedy: 'look again' });
    });
    expect(outcome).toMatchObject({ code: 'not-found' });
    expect(lines).toEqual([
      { kind: 'error', code: 'not-found', message: 'no such file', remedy: 'look again' },
    ]);
  });

  it('refuses a request that is not JSON', async () => {
    const { lines } = await serve(async () => ({}), { input: ['hello'] });
    expect(lines).toMatchObject([{ kind: 'error', code: 'invalid-argument' }]);
  });

  it('says that it was cancelled, whatever the job then throws', async () => {
    const stop = new AbortController();
    const { lines } = await serve(
      async () => {
        stop.abort(new RondoError('cancelled', 'stopped by SIGTERM'));
        throw new Error('the loader was closed');
      },
      { signal: stop.signal },
    );
    expect(lines).toEqual([{ kind: 'error', code: 'cancelled', message: 'stopped by SIGTERM' }]);
  });
});

describe('findJob', () => {
  const job: Job = async () => ({});
  it('finds a job by its name', async () => {
    expect(await findJob('fold', { fold: async () => job })).toBe(job);
  });

  it('names the nearest one for a name that is none', () => {
    expect(() => findJob('fodl', { fold: async () => job })).toThrow('there is no job "fodl"');
    expect(() => findJob('toString', { fold: async () => job })).toThrow('there is no job');
  });
});
