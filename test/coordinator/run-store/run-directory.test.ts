import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { remark } from '../../../coordinator/dataset/remarks.js';
import { resolveStart } from '../../../coordinator/options/start-config.js';
import type { RawStart } from '../../../coordinator/options/start-schema.js';
import {
  clearPrepared,
  createRunDirectory,
  findRunDirectory,
  isLocked,
  listRunNames,
  lockRun,
  type RunRecord,
  readRunRecord,
  writeRunRecord,
} from '../../../coordinator/run-store/run-directory.js';
import { holdLockElsewhere, kill } from '../../support/lock-holder.js';
import { recordOf, reportConfig } from '../../support/report-run.js';
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

  it('refuses a folder in /proc or /sys, where making one would never return', () => {
    expect(() => createRunDirectory('/proc/rondo/runs', null, 'resnet18', now)).toThrow(
      expect.objectContaining({ code: 'invalid-argument', remedy: 'choose a folder on a disk' }),
    );
  });

  it('refuses a name that exists, with the way to go on', () => {
    const runs = temporaryFolder();
    writeFileSync(createRunDirectory(runs, 'mine', 'resnet18', now).record, '{}');
    expect(() => createRunDirectory(runs, 'mine', 'resnet18', now)).toThrow(
      expect.objectContaining({ code: 'failed-precondition', remedy: expect.stringContaining('--resume') }),
    );
  });

  it('takes over what a coordinator left that died before it had recorded its run', () => {
    const runs = temporaryFolder();
    const { path, images, quarantined, identity, token } = createRunDirectory(runs, 'mine', 'resnet18', now);
    const half = join(path, '.run.json.0a1b2c3d.tmp');
    for (const file of [join(path, 'lock'), images, quarantined, token, half]) writeFileSync(file, 'x');
    mkdirSync(identity);
    writeFileSync(join(identity, 'authority.pem'), 'x');
    const again = createRunDirectory(runs, 'mine', 'resnet18', now);
    expect(again.path).toBe(path);
    clearPrepared(again);
    expect(readdirSync(path).sort()).toEqual(['checkpoints', 'identity', 'lock', 'logs']);
    // Workers that wait for the run to begin have certificates of it.
    expect(readdirSync(identity)).toEqual(['authority.pem']);
  });

  it('leaves a folder alone that another process has just made, or that holds something else', async () => {
    const runs = temporaryFolder();
    const refused = (name: string) =>
      expect(() => createRunDirectory(runs, name, 'resnet18', now)).toThrow(
        expect.objectContaining({ message: `${join(runs, name)} exists already, and holds no run` }),
      );
    mkdirSync(join(runs, 'photos'));
    writeFileSync(join(runs, 'photos', 'a.jpg'), '');
    refused('photos');
    const { path, checkpoints } = createRunDirectory(runs, 'saved', 'resnet18', now);
    mkdirSync(join(checkpoints, 'epoch-0000'));
    refused('saved');
    rmSync(join(checkpoints, 'epoch-0000'), { recursive: true });
    const holder = await holdLockElsewhere(join(path, 'lock'));
    refused('saved');
    await kill(holder);
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
});

describe('run.json', () => {
  const options = {
    ...{ data: 'photos', pretrained: 'imagenet', 'freeze-epochs': 2, epochs: 3, lr: ',3e-3' },
    ...{ 'unfreeze-lr': '1e-6,1e-4', 'clip-norm': 1, 'early-stopping': 2, name: 'first' },
  };

  async function writeRecord(raw: RawStart = options) {
    const start = resolveStart(raw);
    assert(start.kind === 'new');
    const directory = createRunDirectory(temporaryFolder(), 'first', 'resnet18', now);
    const record: RunRecord = {
      ...recordOf(reportConfig()),
      training: start.training,
      dataRoot: '/photos',
      data: { validation: 'drawn', remarks: [remark('note', 'links', ['a.jpg'], '1 link')] },
      source: { runId: 'x', checkpoint: '/x', step: 3, parameterDigest: 'd', head: 'fresh' },
    };
    await writeRunRecord(directory, record);
    const written: unknown = JSON.parse(readFileSync(directory.record, 'utf8'));
    return { directory, record, written: z.record(z.string(), z.any()).parse(written) };
  }

  it.each([
    ['with ranges of rates', options],
    ['with one rate and nothing more', { data: 'photos', lr: 0.01 }],
    ['of the sample set', {}],
  ])('is read as it was written, %s', async (_, raw) => {
    const { directory, record, written } = await writeRecord(raw);
    expect(written.formatVersion).toBe(2);
    expect(readRunRecord(directory)).toEqual(record);
  });

  it('has the defaults of options that it was recorded without', async () => {
    const { directory, record, written } = await writeRecord();
    delete written.training.mixup;
    delete written.formatVersion;
    writeFileSync(directory.record, JSON.stringify(written));
    expect(readRunRecord(directory)).toEqual(record);
    expect(record.training.mixup).toBe(0);
  });

  it.each([
    ['{', /run\.json is not JSON$/],
    ['{}', /run\.json: runId: /],
    [{ workers: 'two' }, /run\.json: workers: .*expected number, received string$/],
    [{ training: { batchSize: -4 } }, /run\.json: training\.batchSize: must be a whole number from /],
    [{ training: { seed: null } }, /run\.json: training\.seed: must be /],
    [{ config: {} }, /run\.json: config\.runId: /],
    [{ data: { validation: null, remarks: [{ level: 'joke' }] } }, /: data\.remarks\.0\.level: /],
  ])('that is damaged is refused by name and field: %j', async (damage, message) => {
    const { directory, written } = await writeRecord();
    const text = typeof damage === 'string' ? damage : JSON.stringify({ ...written, ...damage });
    writeFileSync(directory.record, text);
    expect(() => readRunRecord(directory)).toThrow(
      expect.objectContaining({ code: 'data-loss', message: expect.stringMatching(message) }),
    );
  });

  it('of a newer format version is refused, and says what helps', async () => {
    const { directory } = await writeRecord();
    writeFileSync(directory.record, '{"formatVersion":3}');
    expect(() => readRunRecord(directory)).toThrow(
      expect.objectContaining({
        code: 'failed-precondition',
        message: expect.stringContaining('run.json has format version 3'),
        remedy: expect.stringContaining('version of Rondo that wrote it'),
      }),
    );
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
