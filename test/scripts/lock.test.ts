import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadScript } from './load-script.js';

interface Holder {
  pid: number;
  host: string;
  touchedMs: number;
  text: string;
}

const { isStale, withLock } = await loadScript<{
  isStale(
    holder: Holder,
    nowMs: number,
    machine?: { host?: string; isAlive?: (pid: number) => boolean },
  ): boolean;
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

describe('isStale', () => {
  const holder = { pid: 7, host: 'here', touchedMs: 100_000, text: '' };
  const cases: [what: string, nowMs: number, host: string, alive: boolean, stale: boolean][] = [
    ['alive here', 101_000, 'here', true, false],
    ['dead here', 101_000, 'here', false, true],
    ['elsewhere, where its process cannot be seen', 101_000, 'there', false, false],
    ['elsewhere and silent', 131_000, 'there', true, true],
    ['here and silent: another process has its number', 131_000, 'here', true, true],
  ];
  it.each(cases)('%s', (_, nowMs, host, alive, stale) => {
    expect(isStale(holder, nowMs, { host, isAlive: () => alive })).toBe(stale);
  });
});

describe('withLock', () => {
  it('holds the file during the work, gives it up after it, and passes on the result', async () => {
    const seen = await withLock(file, noWait, async () => existsSync(file));
    expect(seen).toBe(true);
    expect(existsSync(file)).toBe(false);
  });

  it('gives it up when the work fails', async () => {
    await expect(withLock(file, noWait, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(existsSync(file)).toBe(false);
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
    const second = withLock(file, { onWait }, async () => {
      order.push('second in');
    });
    expect(onWait).toHaveBeenCalledExactlyOnceWith(`process ${process.pid} on ${hostname()}`);
    leave();
    await Promise.all([first, second]);
    expect(order).toEqual(['first in', 'first out', 'second in']);
    expect(onWait).toHaveBeenCalledTimes(1);
  });

  it('takes over a lock whose holder is long silent', async () => {
    writeFileSync(file, `${process.pid} elsewhere 1\n`);
    utimesSync(file, 1, 1);
    expect(await withLock(file, noWait, async () => 'in')).toBe('in');
  });
});
