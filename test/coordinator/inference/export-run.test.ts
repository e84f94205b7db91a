import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ChosenCheckpoint } from '../../../coordinator/checkpoints/choose-checkpoint.js';
import { type ExportOptions, exportRun } from '../../../coordinator/inference/export-run.js';
import type { RunRecord } from '../../../coordinator/run-store/run-directory.js';
import { RondoError } from '../../../runtime/errors.js';
import { temporaryFolder, tinyConfig } from '../../support/tiny-run.js';

const record = {
  ...{
    runId: 'first-try',
    createdAt: '2026-03-01T10:00:00.000Z',
    command: [],
    workers: 2,
    datasetDigest: '',
  },
  versions: { rondo: '0.1.0', node: '20', platform: 'linux' },
  training: { data: '/pictures/of/ann/pets', labelPattern: null, validPct: 0.2 },
  config: tinyConfig({ classes: ['cat', 'great_dane'] }),
} as unknown as RunRecord;

const checkpoint = {
  ...{ name: 'epoch-0002', path: 'p', state: 'p/state.safetensors' },
  record: { step: 9, parameterDigest: 'e'.repeat(64) },
  epoch: { error_rate: 0.125, valid_loss: 0.5, train_loss: null },
} as unknown as ChosenCheckpoint;

function exporting(changes: Partial<ExportOptions> = {}): ExportOptions {
  return {
    ...{ record, checkpoint, format: 'safetensors', out: join(temporaryFolder(), 'deep', 'out') },
    onProgress() {},
    signal: new AbortController().signal,
    async runJob({ directory }) {
      writeFileSync(join(directory, 'model.safetensors'), 'abc');
      return { parameters: 1234 };
    },
    ...changes,
  };
}

describe('exportRun', () => {
  it('writes the network, its classes and a card that tells what matters', async () => {
    const options = exporting();
    const exported = await exportRun(options);
    // SHA-256 of "abc", from FIPS 180-2.
    const digest = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(exported).toEqual({
      ...{ directory: options.out, file: 'model.safetensors', bytes: 3, digest, parameters: 1234 },
    });
    expect(readdirSync(options.out).sort()).toEqual(['README.md', 'classes.json', 'model.safetensors']);
    expect(JSON.parse(readFileSync(join(options.out, 'classes.json'), 'utf8'))).toEqual([
      'cat',
      'great_dane',
    ]);
    const card = readFileSync(join(options.out, 'README.md'), 'utf8');
    for (const told of [
      '# first-try',
      'resnet18',
      'cat, great\\_dane',
      '| Data | pets |',
      '| frozen | 1 | head and batch norm | 0.001 |',
      '| error rate | 0.1250 |',
      '| accuracy | 0.8750 |',
      digest,
      'e'.repeat(64),
      record.config.datasetDigest,
    ]) {
      expect(card).toContain(told);
    }
    expect(card).not.toContain('/pictures');
  });

  it('says when nothing was measured', async () => {
    const options = exporting({ checkpoint: { ...checkpoint, epoch: null } });
    await exportRun(options);
    expect(readFileSync(join(options.out, 'README.md'), 'utf8')).toContain('was not measured');
  });

  it('fills an empty folder, and leaves a full one as it is', async () => {
    const out = temporaryFolder();
    await exportRun(exporting({ out }));
    expect(readdirSync(out)).toContain('README.md');
    await expect(exportRun(exporting({ out }))).rejects.toMatchObject({
      code: 'failed-precondition',
      remedy: expect.stringContaining('--out'),
    });
  });

  it('leaves nothing behind when the job fails', async () => {
    const root = temporaryFolder();
    mkdirSync(join(root, 'in'));
    const failing = exporting({
      out: join(root, 'in', 'out'),
      async runJob() {
        throw new RondoError('data-loss', 'torn');
      },
    });
    await expect(exportRun(failing)).rejects.toMatchObject({ code: 'data-loss' });
    expect(readdirSync(join(root, 'in'))).toEqual([]);
  });
});
