import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadScript } from './load-script.js';

const { withLock } = await loadScript<{
  withLock<T>(file: string, listener: { onWait(holder: string): void }, work: () => Promise<T>): Promise<T>;
}>('lock.mjs');

let folder: string;
let file: string;
const noWait = {
  onWait: (holder: string) => {
    throw new Error(`waits for ${holder}`);
  },
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rondo-lock-'));
  file = join(folder, 'setup.lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('withLock', () => {
  it('is free after the work, and passes on the result', async () => {
    expect(await withLock(file, noWait, async () => 'first')).toBe('first');
    expect(await withLock(file, noWait, async () => 'second')).toBe('second');
  });

  it('gives it up when the work fails', async () => {
    await expect(withLock(file, noWait, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await withLock(file, noWait, async () => 'in')).toBe('in');
  });

  it('lets one in at a time, and says once whom the other waits for', async () => {
    const order: string[] = [];
    const onWait = vi.fn();
    let leave = () => {};
    const first = withLock(file, noWait, async () => {
      order.push('first in');
      await new Promise<void>((resolve) => {
        leave = resolve;
      });
      order.push('first out');
    });
    await expect.poll(() => order).toEqual(['first in']);
    const second = withLock(file, { onWait }, async () => {
      order.push('second in');
    });
    await expect.poll(() => onWait).toHaveBeenCalledTimes(1);
    expect(onWait.mock.calls[0]).toEqual([`process ${process.pid} on ${hostname()}`]);
    leave();
    await Promise.all([first, second]);
    expect(order).toEqual(['first in', 'first out', 'second in']);
    expect(onWait).toHaveBeenCalledTimes(1);
  });

  it.each([
    ['left by a process of this number', `process ${process.pid} on ${hostname()}`],
    ['left by an earlier version', '1 elsewhere 1\n'],
  ])('takes a lock that was %s', async (_, text) => {
    writeFileSync(file, text);
    expect(await withLock(file, noWait, async () => 'in')).toBe('in');
  });

  it('is free when the process that set up is killed', async () => {
    const script = `import('./scripts/setup/lock.mjs').then(({ withLock }) =>
      withLock(process.argv[1], { onWait() {} }, async () => {
        console.log('held');
        await new Promise(() => setInterval(() => {}, 1_000));
      }));`;
    const cwd = new URL('../..', import.meta.url);
    const child = spawn(process.execPath, ['-e', script, file], {
      cwd,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const onWait = vi.fn(() => void child.kill('SIGKILL'));
    expect(await withLock(file, { onWait }, async () => 'in')).toBe('in');
    expect(onWait).toHaveBeenCalledExactlyOnceWith(`process ${child.pid} on ${hostname()}`);
  });
});
