import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isLockHeld, readLockHolder, tryLock } from '../../runtime/file-lock.js';
import { holdLockElsewhere, kill } from '../support/lock-holder.js';
import { temporaryFolder } from '../support/tiny-run.js';

const lockIn = (folder: string) => join(folder, 'lock');

describe('tryLock', () => {
  it('lets one in, and another once it is given back, which is safe twice', () => {
    const path = lockIn(temporaryFolder());
    const unlock = tryLock(path)!;
    expect(readLockHolder(path)).toEqual({ pid: process.pid, host: hostname() });
    expect(tryLock(path)).toBeNull();
    unlock();
    expect(existsSync(path)).toBe(false);
    const next = tryLock(path)!;
    unlock();
    expect(isLockHeld(path)).toBe(true);
    next();
    expect(isLockHeld(path)).toBe(false);
  });

  it('is free again when its holder is killed, though the file is still there', async () => {
    const path = lockIn(temporaryFolder());
    const child = await holdLockElsewhere(path);
    expect(tryLock(path)).toBeNull();
    expect(isLockHeld(path)).toBe(true);
    expect(readLockHolder(path)).toMatchObject({ pid: child.pid });
    await kill(child);
    expect(existsSync(path)).toBe(true);
    expect(isLockHeld(path)).toBe(false);
    tryLock(path)!();
  });

  it.each([
    [
      'a process of this number, as in a container that was started again',
      { pid: process.pid, host: hostname() },
    ],
    ['a process of another host, as when a container’s name is its host’s', { pid: 1, host: 'another' }],
    ['nobody who wrote a name', null],
  ])('does not believe what was left by %s', (_, holder) => {
    const path = lockIn(temporaryFolder());
    writeFileSync(path, holder === null ? '' : JSON.stringify(holder));
    expect(isLockHeld(path)).toBe(false);
    tryLock(path)!();
  });

  it('leaves another’s file alone when its own was removed by hand', () => {
    const path = lockIn(temporaryFolder());
    const first = tryLock(path)!;
    rmSync(path);
    const second = tryLock(path)!;
    first();
    expect(isLockHeld(path)).toBe(true);
    expect(tryLock(path)).toBeNull();
    second();
  });
});
