import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RondoError } from '../../runtime/errors.js';
import { type CalledThread, startThread } from '../../runtime/thread-calls.js';

interface Operations {
  double(value: number): number;
  /** Answers once `release` was called. */
  hold(): Promise<string>;
  release(): void;
  refuse(): void;
  refuseLater(): Promise<void>;
  giveFunction(): unknown;
  fill(values: Float32Array): void;
  exit(): void;
  crash(): void;
}

const built = new URL('../../dist/', import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'rondo-thread-'));
const program = pathToFileURL(join(folder, 'thread.mjs'));
const threads: CalledThread<Operations>[] = [];

beforeAll(() => {
  writeFileSync(
    fileURLToPath(program),
    `import { serveThread } from ${JSON.stringify(new URL('runtime/thread-calls.js', built).href)};
     import { RondoError } from ${JSON.stringify(new URL('runtime/errors.js', built).href)};
     let release;
     const held = new Promise((resolve) => { release = resolve; });
     const refusal = () => new RondoError('not-found', 'there is no such file', { remedy: 'name another' });
     serveThread({
       double: (value) => 2 * value,
       hold: () => held.then(() => 'held'),
       release: () => release(),
       refuse: () => { throw refusal(); },
       refuseLater: () => Promise.reject(refusal()),
       giveFunction: () => () => {},
       fill: (values) => { values.fill(3); },
       exit: () => process.exit(4),
       crash: () => { setImmediate(() => { throw new Error('thrown aside'); }); return new Promise(() => {}); },
     });`,
  );
});

afterEach(async () => {
  await Promise.all(threads.splice(0).map((thread) => thread.destroy()));
});

afterAll(() => rmSync(folder, { recursive: true }));

function start(): CalledThread<Operations> {
  const thread = startThread<Operations>(program, {
    what: 'the thread of the test',
    operations: {
      ...{ double: true, hold: true, release: true, refuse: true, refuseLater: true },
      ...{ giveFunction: true, fill: true, exit: true, crash: true },
    },
  });
  threads.push(thread);
  return thread;
}

describe('a thread that is called', () => {
  it('answers each call with its own result, also while another waits', async () => {
    const { calls, isBusy } = start();
    const held = calls.hold();
    expect(await Promise.all([1, 2, 3].map((value) => calls.double(value)))).toEqual([2, 4, 6]);
    expect(isBusy()).toBe(true);
    await calls.release();
    expect(await held).toBe('held');
    expect(isBusy()).toBe(false);
  });

  it('shares the memory that is shared', async () => {
    const values = new Float32Array(new SharedArrayBuffer(8));
    await start().calls.fill(values);
    expect([...values]).toEqual([3, 3]);
  });

  it.each(['refuse', 'refuseLater'] as const)('fails with code, message and remedy: %s', async (name) => {
    const error = await start()
      .calls[name]()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RondoError);
    expect(error).toMatchObject({
      ...{ code: 'not-found', message: 'there is no such file', remedy: 'name another' },
    });
  });

  it('rejects what cannot be cloned, either way, and goes on', async () => {
    const { calls, isBusy } = start();
    await expect(calls.double((() => {}) as unknown as number)).rejects.toThrow(/could not be cloned/);
    await expect(calls.giveFunction()).rejects.toThrow(/could not be cloned/);
    expect(isBusy()).toBe(false);
    expect(await calls.double(2)).toBe(4);
  });

  it.each([
    ['exit', 'the thread of the test has ended (exit code 4)'],
    ['crash', 'thrown aside'],
  ] as const)('rejects every call when the thread ends: %s', async (name, message) => {
    const { calls } = start();
    const [held, last] = await Promise.allSettled([calls.hold(), calls[name]()]);
    expect(held).toMatchObject({ status: 'rejected', reason: { code: 'internal', message } });
    expect(last).toMatchObject({ status: 'rejected', reason: { message } });
    await expect(calls.double(1)).rejects.toMatchObject({ message });
  });
});
