import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { isAlive } from '../../../bench/support/processes.js';
import { runWorkerJob } from '../../../coordinator/launch/run-job.js';
import { RondoError } from '../../../runtime/errors.js';

const value = z.record(z.string(), z.unknown());
const jobOf = (name: string) => ({ name, request: value, item: value, result: value });
const program = fileURLToPath(new URL('../../support/fake-job-program.mjs', import.meta.url));

describe('runWorkerJob', () => {
  it('starts `worker job NAME` with all cores, and answers its result', async () => {
    const result = await runWorkerJob(jobOf('fold'), { tell: true }, { program });
    expect(result).toEqual({
      command: 'job',
      name: 'fold',
      threads: String(availableParallelism()),
      interop: '1',
    });
  });

  it('passes on progress and items in order, and skips what is no line of the job', async () => {
    const heard: object[] = [];
    const say = [
      { kind: 'progress', done: 0, total: 2 },
      'a library says hello',
      '{ not JSON',
      { kind: 'item', value: { a: 1 } },
      { kind: 'progress', done: 2, total: 2 },
      { kind: 'result', value: { n: 7 } },
    ];
    const listeners = { onProgress: (p: object) => heard.push(p), onItem: (i: object) => heard.push(i) };
    expect(await runWorkerJob(jobOf('x'), { say }, { program, ...listeners })).toEqual({ n: 7 });
    expect(heard).toEqual([{ done: 0, total: 2 }, { a: 1 }, { done: 2, total: 2 }]);
  });

  it.each([
    [
      'item',
      { kind: 'item', value: { a: 'one' } },
      'what "x" told: a: Invalid input: expected number, received string',
    ],
    [
      'result',
      { kind: 'result', value: 7 },
      'what "x" told: Invalid input: expected record, received number',
    ],
  ])('refuses what its contract does not name: %s', async (_, line, message) => {
    const job = { ...jobOf('x'), item: z.object({ a: z.number() }) };
    const failed = runWorkerJob(job, { say: [line] }, { program, onItem() {} });
    await expect(failed).rejects.toMatchObject({
      code: 'internal',
      message,
      remedy: expect.stringContaining('npm run build'),
    });
  });

  it('throws the job’s own error', async () => {
    const say = [{ kind: 'error', code: 'data-loss', message: 'torn', remedy: 'mend it' }];
    const thrown = await runWorkerJob(jobOf('x'), { say, code: 1 }, { program }).catch(
      (error: unknown) => error,
    );
    expect(thrown).toBeInstanceOf(RondoError);
    expect(thrown).toMatchObject({ code: 'data-loss', message: 'torn', remedy: 'mend it' });
  });

  it('tells how a process died, and its last lines', async () => {
    const complain = `${'noise\n'.repeat(2000)}out of memory\n`;
    const failed = runWorkerJob(jobOf('shrink'), { complain, code: 134 }, { program });
    await expect(failed).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/"shrink" ended with exit code 134\..*noise\nout of memory$/s),
    });
    await failed.catch((error: Error) => expect(error.message.length).toBeLessThan(400));
  });

  it('ends without a result as unavailable, even with exit code 0', async () => {
    await expect(runWorkerJob(jobOf('x'), {}, { program })).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('ends the process when the signal comes', async () => {
    const stop = new AbortController();
    let pid = 0;
    const run = runWorkerJob(
      jobOf('x'),
      { hang: true },
      {
        program,
        signal: stop.signal,
        onItem(item) {
          pid = Number(item.pid);
          stop.abort(new RondoError('cancelled', 'enough'));
        },
      },
    );
    await expect(run).rejects.toMatchObject({ code: 'cancelled', message: 'enough' });
    expect(pid).toBeGreaterThan(0);
    expect(isAlive(pid)).toBe(false);
  });

  it('starts nothing when the signal came before', async () => {
    const run = runWorkerJob(jobOf('x'), { tell: true }, { program, signal: AbortSignal.abort() });
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
  });
});
