import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { type DownloadProgress, withFileLock } from '../../../coordinator/download/download.js';
import { tryLock } from '../../../runtime/file-lock.js';
import { bytes, setUp } from '../../support/download-setting.js';
import { makeFolder } from '../../support/images.js';
import { holdLockElsewhere, kill } from '../../support/lock-holder.js';

describe('withFileLock', () => {
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
});

describe('the lock of another process', () => {
  it('is taken over when that process has ended', async () => {
    const setting = await setUp();
    await setting.fetch();
    const file = path.join(path.dirname(setting.file), 'b.bin');
    // Above the largest pid that Linux gives.
    await writeFile(`${file}.lock`, JSON.stringify({ pid: 2 ** 30, host: hostname(), id: 'gone' }));
    await setting.fetch({ file });
    expect((await readFile(file)).equals(bytes)).toBe(true);
    expect(existsSync(`${file}.lock`)).toBe(false);
  });

  it('is respected while it is held, and what it has fetched is used', async () => {
    const setting = await setUp();
    await setting.fetch();
    const file = path.join(path.dirname(setting.file), 'b.bin');
    const release = tryLock(`${file}.lock`)!;
    await writeFile(`${file}.part`, bytes.subarray(0, 1000));
    const waited: DownloadProgress[] = [];
    const result = setting.fetch({
      file,
      bytes: bytes.length,
      onProgress: async (progress) => {
        waited.push(progress);
        if (waited.length < 3) return;
        await writeFile(file, bytes);
        release();
      },
    });
    expect(await result).toBe(file);
    expect(waited[0]).toEqual({ done: 1000, total: bytes.length });
    expect(setting.server.requests).toHaveLength(1);
  });
});
