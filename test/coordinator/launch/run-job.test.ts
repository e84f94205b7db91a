import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runWorkerJob } from '../../../coordinator/launch/run-job.js';
import { RondoError } from '../../../runtime/errors.js';
import { isAlive } from '../../support/processes.js';

const program = fileURLToPath(new URL('../../support/fake-job-program.mjs', import.meta.url));

describe('runWorkerJob', () => {
  it('starts `worker job NAME` with all cores, and answers its result', async () => {
    const result = await runWorkerJob('fold', { tell: true }, { program });
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
      { kind: 'result', n: 7 },
    ];
    const listeners = { onProgress: (p: object) => heard.push(p), onItem: (i: object) => heard.push(i) };
    expect(await runWorkerJob('x', { say }, { program, ...listeners })).toEqual({ n: 7 });
    expect(heard).toEqual([{ done: 0, total: 2 }, { a: 1 }, { done: 2, total: 2 }]);
  });

  it('throws the job’s own error', async () => {
    const say = [{ kind: 'error', code: 'data-loss', message: 'torn', remedy: 'mend it' }];
    const thrown = await runWorkerJob('x', { say, code: 1 }, { program }).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(RondoError);
    expect(thrown).toMatchObject({ code: 'data-loss', message: 'torn', remedy: 'mend it' });
  });

  it('tells how a process died, and its last lines', async () => {
    const complain = `${'noise\n'.repeat(2000)}out of memory\n`;
    const failed = runWorkerJob('shrink', { complain, code: 134 }, { program });
    await expect(failed).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/"shrink" ended with exit code 134\..*noise\nout of memory$/s),
    });
    await failed.catch((error: Error) => expect(error.message.length).toBeLessThan(400));
  });

  it('ends without a result as unavailable, even with exit code 0', async () => {
    await expect(runWorkerJob('x', {}, { program })).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('ends the process when the signal comes', async () => {
    const stop = new AbortController();
    let pid = 0;
    const run = runWorkerJob(
      'x',
      { hang: true },
      {
        program,
        signal: stop.signal,
        onItem(item) {
          pid = (item as { pid: number }).pid;
          stop.abort(new RondoError('cancelled', 'enough'));
        },
      },
    );
    await expect(run).rejects.toMatchObject({ code: 'cancelled', message: 'enough' });
    expect(pid).toBeGreaterThan(0);
    expect(isAlive(pid)).toBe(false);
  });

  it('starts nothing when the signal came before', async () => {
    const run = runWorkerJob('x', { tell: true }, { program, signal: AbortSignal.abort() });
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
  });
});
