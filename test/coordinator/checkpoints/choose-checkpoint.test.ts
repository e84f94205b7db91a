import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeCheckpoint } from '../../../coordinator/checkpoints/checkpoint-file.js';
import { chooseCheckpoint } from '../../../coordinator/checkpoints/choose-checkpoint.js';
import { runDirectoryAt } from '../../../coordinator/run-store/run-directory.js';
import { temporaryFolder } from '../../support/tiny-run.js';

interface Epoch {
  readonly rate: number | null;
  readonly kept: boolean;
}

/** A run of one step per epoch, with a ledger and the checkpoints that are kept. */
async function makeRun(epochs: readonly Epoch[]) {
  const directory = runDirectoryAt(temporaryFolder());
  mkdirSync(directory.checkpoints);
  const lines = epochs.map(({ rate }, epoch) => ({
    ...{ kind: 'epoch', epoch, step: epoch + 1, train_loss: 1, valid_loss: 1, error_rate: rate },
    ...{ seconds: 1, imagesPerSecond: 1, parameterDigest: 'p' },
  }));
  writeFileSync(directory.ledger, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  for (const [epoch, { kept }] of epochs.entries()) {
    if (kept) await checkpoint(directory.checkpoints, `epoch-000${epoch}`, epoch + 1, true);
  }
  return directory;
}

async function checkpoint(folder: string, name: string, step: number, whole: boolean): Promise<void> {
  const tensors = [{ name: 'w', shape: [2], offset: 0n }];
  const header = { step: BigInt(step), length: 2n, stateDigest: 's', parameterDigest: 'p', tensors };
  await writeCheckpoint(join(folder, name), {
    ...{ epoch: step - 1, whole, header, values: Float32Array.of(1, 2), runConfigDigest: 'c' },
  });
}

describe('chooseCheckpoint', () => {
  it('takes the best by error rate', async () => {
    const run = await makeRun([0.5, 0.1, 0.3].map((rate) => ({ rate, kept: true })));
    const chosen = await chooseCheckpoint(run, undefined);
    expect(chosen).toMatchObject({ name: 'epoch-0001', epoch: { error_rate: 0.1 } });
    expect(chosen.state).toBe(join(run.checkpoints, 'epoch-0001', 'state.safetensors'));
  });

  it('takes the newest when the best is not kept, or nothing was measured', async () => {
    const gone = await makeRun([
      { rate: 0.1, kept: false },
      { rate: 0.3, kept: true },
      { rate: 0.2, kept: true },
    ]);
    expect(await chooseCheckpoint(gone, undefined)).toMatchObject({ name: 'epoch-0002' });
    const unknown = await makeRun([]);
    await checkpoint(unknown.checkpoints, 'stopped-000001', 1, false);
    expect(await chooseCheckpoint(unknown, undefined)).toMatchObject({ name: 'stopped-000001', epoch: null });
  });

  it('takes the one that is named', async () => {
    const run = await makeRun([0.5, 0.1].map((rate) => ({ rate, kept: true })));
    expect(await chooseCheckpoint(run, 'epoch-0000')).toMatchObject({ epoch: { error_rate: 0.5 } });
    await expect(chooseCheckpoint(run, 'epoch-0003')).rejects.toMatchObject({
      code: 'not-found',
      remedy: expect.stringContaining('epoch-000'),
    });
    await expect(chooseCheckpoint(run, '../checkpoints/epoch-0000')).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('refuses a run without one, and one whose bytes have changed', async () => {
    await expect(chooseCheckpoint(await makeRun([]), undefined)).rejects.toMatchObject({ code: 'not-found' });
    const run = await makeRun([{ rate: 0.5, kept: true }]);
    const file = join(run.checkpoints, 'epoch-0000', 'state.safetensors');
    writeFileSync(file, 'x', { flag: 'a' });
    await expect(chooseCheckpoint(run, undefined)).rejects.toMatchObject({ code: 'data-loss' });
  });
});
