import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, it, vi } from 'vitest';
import { withFileLock } from '../../../coordinator/download/download.js';
import { tryLock } from '../../../runtime/file-lock.js';
import { makeFolder } from '../../support/images.js';
import { holdLockElsewhere, kill } from '../../support/lock-holder.js';

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

it('waits for a process that holds it, and goes on when that is killed', async () => {
  const lock = path.join(await makeFolder(), 'a.lock');
  const child = await holdLockElsewhere(lock);
  let waits = 0;
  const onWait = async () => {
    waits += 1;
    if (waits === 2) await kill(child);
  };
  const inside = vi.fn(async () => {});
  await withFileLock(lock, { signal, onWait }, inside);
  expect(waits).toBeGreaterThanOrEqual(2);
  expect(inside).toHaveBeenCalledTimes(1);
});

it('stops waiting when asked to', async () => {
  const lock = path.join(await makeFolder(), 'a.lock');
  const unlock = tryLock(lock)!;
  const stop = new AbortController();
  const waiting = withFileLock(lock, { signal: stop.signal, onWait: () => stop.abort() }, async () => {
    throw new Error('got in');
  });
  await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  unlock();
});
