import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  createRunDirectory,
  findRunDirectory,
  listRunNames,
  readRunRecord,
} from '../../../coordinator/run-store/run-directory.js';
import { isLocked, lockRun } from '../../../coordinator/run-store/run-lock.js';
import { holdLockElsewhere, kill } from '../../support/lock-holder.js';
import { temporaryFolder } from '../../support/tiny-run.js';

const now = new Date('2025-03-04T05:06:07Z');

describe('createRunDirectory', () => {
  it('never takes a directory twice', () => {
    const runs = join(temporaryFolder(), 'deep', 'runs');
    const names = [1, 2, 3].map(() => createRunDirectory(runs, null, 'resnet18', now).runId);
    expect(names).toEqual([
      '20250304-050607-resnet18',
      '20250304-050607-resnet18-2',
      '20250304-050607-resnet18-3',
    ]);
  });

  it('refuses a name that exists, with the way to go on', () => {
    const runs = temporaryFolder();
    createRunDirectory(runs, 'mine', 'resnet18', now);
    expect(() => createRunDirectory(runs, 'mine', 'resnet18', now)).toThrow(
      expect.objectContaining({ code: 'failed-precondition', remedy: expect.stringContaining('--resume') }),
    );
  });
});

describe('findRunDirectory', () => {
  it('finds by name and by path, and suggests the nearest name', () => {
    const runs = temporaryFolder();
    for (const name of ['first', 'second']) {
      writeFileSync(createRunDirectory(runs, name, 'resnet18', now).record, '{}');
    }
    mkdirSync(join(runs, 'no-run'));
    expect(listRunNames(runs)).toEqual(['first', 'second']);
    expect(findRunDirectory('first', runs).path).toBe(join(runs, 'first'));
    expect(findRunDirectory(join(runs, 'second'), 'elsewhere').runId).toBe('second');
    expect(() => findRunDirectory('frist', runs)).toThrow(
      expect.objectContaining({ code: 'not-found', remedy: 'did you mean first?' }),
    );
  });

  it('says that a record is damaged', () => {
    const directory = createRunDirectory(temporaryFolder(), 'first', 'resnet18', now);
    for (const text of ['{', '{}']) {
      writeFileSync(directory.record, text);
      expect(() => readRunRecord(directory)).toThrow(expect.objectContaining({ code: 'data-loss' }));
    }
  });
});

describe('lockRun', () => {
  it('is held by one, until given back', () => {
    const folder = temporaryFolder();
    const unlock = lockRun(folder);
    expect(isLocked(folder)).toBe(true);
    expect(() => lockRun(folder)).toThrow(
      expect.objectContaining({
        code: 'failed-precondition',
        message: expect.stringContaining(`${process.pid}`),
      }),
    );
    unlock();
    expect(isLocked(folder)).toBe(false);
    lockRun(folder)();
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });

  it('is one process’s, and free when that is killed', async () => {
    const folder = temporaryFolder();
    const child = await holdLockElsewhere(join(folder, 'lock'));
    expect(isLocked(folder)).toBe(true);
    expect(() => lockRun(folder)).toThrow(
      expect.objectContaining({
        code: 'failed-precondition',
        message: `run ${folder} is in use by process ${child.pid} on ${hostname()}`,
      }),
    );
    await kill(child);
    expect(isLocked(folder)).toBe(false);
    lockRun(folder)();
  });

  it.each([
    ['by a process of the same number', JSON.stringify({ pid: process.pid, host: hostname() })],
    ['by another host', JSON.stringify({ pid: 1, host: 'another' })],
    ['empty by a crash', ''],
  ])('is taken over when it was left %s', (_, text) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'lock'), text);
    expect(isLocked(folder)).toBe(false);
    lockRun(folder)();
  });
});
