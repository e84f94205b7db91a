import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  checkWeightsJob,
  exportJob,
  type JobContract,
  predictJob,
  showBatchJob,
} from '../../../proto/jobs.js';
import { RondoError } from '../../../runtime/errors.js';
import { findJob } from '../../../worker/jobs/registry.js';
import { type Job, readingJob, serveJob } from '../../../worker/jobs/serve-job.js';

interface Request {
  n: number;
}

const contract: JobContract<Request, object, object> = {
  name: 'fold',
  request: z.object({ n: z.number() }),
  item: z.object(),
  result: z.object(),
};

async function serve(
  job: Job<Request, object, object>,
  { input = ['{"n":', '3}'], signal = new AbortController().signal } = {},
) {
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
  const outcome = await serveJob(
    () => readingJob(contract, async () => job),
    { input: read(), output },
    signal,
  ).catch((error: unknown) => error);
  const lines = written.split('\n').filter((line) => line !== '');
  return { outcome, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('serveJob', () => {
  it('hands the request over and writes progress, items and at last the result', async () => {
    const { outcome, lines } = await serve(async ({ n }, { progress, item }) => {
      progress(0, n);
      item({ first: n });
      for (let done = 1; done <= n; done += 1) progress(done, n);
      return { sum: n + 1 };
    });
    expect(outcome).toBeUndefined();
    expect(lines[0]).toEqual({ kind: 'progress', done: 0, total: 3 });
    expect(lines).toContainEqual({ kind: 'item', value: { first: 3 } });
    expect(lines.at(-2)).toEqual({ kind: 'progress', done: 3, total: 3 });
    expect(lines.at(-1)).toEqual({ kind: 'result', value: { sum: 4 } });
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

  it('refuses a request that is not JSON, or not what the job asks for', async () => {
    const { lines } = await serve(async () => ({}), { input: ['hello'] });
    expect(lines).toMatchObject([{ kind: 'error', code: 'invalid-argument' }]);
    const other = await serve(async () => ({}), { input: ['{"n":"3"}'] });
    const message = 'the request on standard input: n: Invalid input: expected number, received string';
    expect(other.lines).toMatchObject([{ kind: 'error', code: 'invalid-argument', message }]);
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
  it('finds each of the jobs by its name, and their contracts refuse what is none of their requests', async () => {
    for (const { name } of [checkWeightsJob, exportJob, predictJob, showBatchJob]) {
      const context = { progress() {}, item() {}, signal: new AbortController().signal };
      await expect(findJob(name)('{"path":3}', context)).rejects.toMatchObject({
        code: 'invalid-argument',
        message: expect.stringMatching(/^the request on standard input: (path|config): Invalid input/),
      });
    }
  });

  it('names the nearest one for a name that is none', () => {
    expect(() => findJob('predcit')).toThrow('there is no job "predcit"');
    expect(() => findJob('predcit')).toThrow(expect.objectContaining({ remedy: 'did you mean "predict"?' }));
    expect(() => findJob('toString')).toThrow('there is no job');
  });
});
