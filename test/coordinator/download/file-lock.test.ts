import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { withFileLock } from '../../../coordinator/download/file-lock.js';
import { makeFolder } from '../../support/images.js';

const signal = new AbortController().signal;

it('lets one in at a time, however many come', async () => {
  const lock = path.join(await makeFolder(), 'a.lock');
  let inside = 0;
  const most: number[] = [];
  await Promise.all(
    [1, 2, 3, 4].map(() =>
      withFileLock(lock, { signal, onWait() {} }, async () => {
        inside += 1;
        most.push(inside);
        await new Promise((resolve) => setTimeout(resolve, 20));
        inside -= 1;
      }),
    ),
  );
  expect(most).toEqual([1, 1, 1, 1]);
  expect(existsSync(lock)).toBe(false);
});

it('is given back when the work fails', async () => {
  const lock = path.join(await makeFolder(), 'a.lock');
  const work = () => Promise.reject(new Error('no luck'));
  await expect(withFileLock(lock, { signal, onWait() {} }, work)).rejects.toThrow('no luck');
  expect(existsSync(lock)).toBe(false);
});

it.each([
  ['a holder on another host', JSON.stringify({ pid: 1, host: 'another', id: 'silent' })],
  ['a holder that was cut off while it wrote its name', ''],
])('takes over from %s that gives no sign of life, after waiting, and only one does', async (_, holder) => {
  const lock = path.join(await makeFolder(), 'a.lock');
  await writeFile(lock, holder);
  let waits = 0;
  let inside = 0;
  const onWait = () => {
    waits += 1;
  };
  const o = { signal, staleMs: 300, onWait };
  const work = async () => {
    inside += 1;
    const name = await readFile(lock, 'utf8');
    expect(inside).toBe(1);
    expect(JSON.parse(name)).toMatchObject({ pid: process.pid });
    inside -= 1;
  };
  await Promise.all([withFileLock(lock, o, work), withFileLock(lock, o, work)]);
  expect(waits).toBeGreaterThan(0);
});

it('stops waiting when asked to', async () => {
  const lock = path.join(await makeFolder(), 'a.lock');
  await writeFile(lock, JSON.stringify({ pid: 1, host: 'another', id: 'alive' }));
  const stop = new AbortController();
  const waiting = withFileLock(lock, { signal: stop.signal, onWait: () => stop.abort() }, async () => {
    throw new Error('got in');
  });
  await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  expect(existsSync(lock)).toBe(true);
});
