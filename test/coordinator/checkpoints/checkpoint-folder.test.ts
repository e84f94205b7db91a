import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  readCheckpointRecord,
  streamCheckpoint,
  verifyCheckpoint,
  writeCheckpoint,
} from '../../../coordinator/checkpoints/checkpoint-file.js';
import {
  describeDamage,
  findNewestCheckpoint,
  keptCheckpoints,
  pruneCheckpoints,
} from '../../../coordinator/checkpoints/checkpoint-folder.js';
import { nameCheckpoint } from '../../../coordinator/checkpoints/checkpoint-names.js';
import type { EpochRecord } from '../../../coordinator/run-store/epoch-record.js';
import type { StateChunk } from '../../../proto/gen/coordinator.js';
import { type DurableFiles, realFiles, restoreReplaced } from '../../../runtime/durable-file.js';
import type { RondoError } from '../../../runtime/errors.js';
import { parseSafetensorsHeader } from '../../../runtime/safetensors.js';
import { fakeState } from '../../support/fake-run.js';
import { temporaryFolder } from '../../support/tiny-run.js';

function source(step: number, epoch = 0) {
  return { epoch, whole: true, runConfigDigest: 'c', ...fakeState(step) };
}

function writeEpoch(folder: string, epoch: number) {
  const path = join(folder, nameCheckpoint({ epoch, step: 0, whole: true }));
  return writeCheckpoint(path, source(3 * (epoch + 1), epoch));
}

const nothingIsDamaged = ({ message }: RondoError) => expect.unreachable(message);

/** A file system on which one kind of call fails. */
function failing(call: keyof DurableFiles, code: string): DurableFiles {
  const fail = async () => {
    throw Object.assign(new Error(`${code}: injected`), { code });
  };
  return { ...realFiles, [call]: fail };
}

describe('writeCheckpoint', () => {
  it('writes a file that safetensors readers understand, and streams the same state again', async () => {
    const path = join(temporaryFolder(), 'epoch-0000');
    const checkpoint = await writeCheckpoint(path, source(3));
    await verifyCheckpoint(checkpoint);
    const bytes = readFileSync(join(path, 'state.safetensors'));
    const { entries } = parseSafetensorsHeader(bytes, bytes.length, 'state');
    expect(entries.map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual([
      ['conv1.weight', 'F32', [2, 3]],
      ['optimizer.first.conv1.weight', 'F32', [2, 3]],
    ]);
    const { header, values } = fakeState(3);
    const chunks: StateChunk[] = [];
    for await (const chunk of streamCheckpoint(await readCheckpointRecord(path))) chunks.push(chunk);
    expect(chunks[0]!.part).toEqual({ $case: 'header', value: header });
    const data = chunks.slice(1).map(({ part }) => (part?.$case === 'data' ? part.value : new Uint8Array()));
    expect(Buffer.concat(data)).toEqual(Buffer.from(values.buffer));
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'verifies that the network is finite: %d is refused in weights, statistics and averages, not in moments',
    async (bad) => {
      const names = [
        'conv1.weight',
        'bn1.running_mean',
        'optimizer.first.conv1.weight',
        'average.conv1.weight',
      ];
      const folder = temporaryFolder();
      for (const [index, name] of names.entries()) {
        for (const place of [0, 3, 5]) {
          const { header, values } = fakeState(3, names);
          values.fill(3e38);
          values[6 * index + place] = bad;
          const path = join(folder, `epoch-${index}${place}`);
          const checkpoint = await writeCheckpoint(path, { ...source(3), header, values });
          if (name.startsWith('optimizer.')) await verifyCheckpoint(checkpoint);
          else
            await expect(verifyCheckpoint(checkpoint)).rejects.toMatchObject({
              code: 'data-loss',
              message: `${join(path, 'state.safetensors')} is of no use: ${name} has values that are not finite`,
            });
        }
      }
    },
  );

  it('finds what is not finite beyond the first piece that is read, whatever the piece ends with', async () => {
    const length = 600_000;
    const values = new Float32Array(length).fill(-1.5);
    const tensors = [{ name: 'conv1.weight', shape: [length], offset: 0n }];
    const header = { ...fakeState(3).header, length: BigInt(length), tensors };
    for (const place of [2 ** 18 - 1, 2 ** 18, length - 1]) {
      const broken = values.with(place, Number.NaN);
      const path = join(temporaryFolder(), 'epoch-0000');
      const checkpoint = await writeCheckpoint(path, { ...source(3), header, values: broken });
      await expect(verifyCheckpoint(checkpoint)).rejects.toThrow('conv1.weight');
    }
    await verifyCheckpoint(
      await writeCheckpoint(join(temporaryFolder(), 'epoch-0000'), { ...source(3), header, values }),
    );
  });

  it('replaces one of the same name', async () => {
    const path = join(temporaryFolder(), 'epoch-0000');
    await writeCheckpoint(path, source(3));
    const { record } = await writeCheckpoint(path, source(4));
    expect((await readCheckpointRecord(path)).record).toEqual(record);
    expect(readdirSync(join(path, '..'))).toEqual(['epoch-0000']);
  });

  it.each<[keyof DurableFiles, string, string]>([
    ['rename', 'EIO', 'internal'],
    ['open', 'ENOSPC', 'resource-exhausted'],
  ])('leaves nothing when %s fails with %s, and what was there as it was', async (call, code, expected) => {
    const folder = temporaryFolder();
    await writeEpoch(folder, 0);
    const failed = writeCheckpoint(join(folder, 'epoch-0001'), source(6, 1), failing(call, code));
    await expect(failed).rejects.toMatchObject({ code: expected });
    expect(readdirSync(folder)).toEqual(['epoch-0000']);
    expect((await findNewestCheckpoint(folder, nothingIsDamaged))?.record.step).toBe(3);
  });

  it('does not exist under its name before everything is synced', async () => {
    const folder = temporaryFolder();
    const events: string[] = [];
    const files: DurableFiles = {
      async open(path, flags) {
        const file = await realFiles.open(path, flags);
        const sync = async () => {
          await file.sync();
          events.push(path === folder ? 'sync folder' : 'sync');
        };
        return new Proxy(file, {
          get: (target, key: keyof FileHandle) => {
            if (key === 'sync') return sync;
            const value = target[key];
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
      },
      async rename(from, to) {
        events.push('rename');
        await realFiles.rename(from, to);
      },
    };
    await writeCheckpoint(join(folder, 'epoch-0000'), source(3), files);
    expect(events).toEqual(['sync', 'sync', 'sync', 'rename', 'sync folder']);
  });
});

describe('findNewestCheckpoint', () => {
  it('is null without one', async () => {
    expect(await findNewestCheckpoint(temporaryFolder(), nothingIsDamaged)).toBeNull();
  });

  it('goes by steps, and passes over what a crash left unfinished', async () => {
    const folder = temporaryFolder();
    await writeEpoch(folder, 0);
    await writeEpoch(folder, 1);
    await writeCheckpoint(join(folder, 'stopped-000005'), { ...source(5, 1), whole: false });
    mkdirSync(join(folder, '.epoch-0002.abcd.tmp'));
    expect((await findNewestCheckpoint(folder, nothingIsDamaged))?.record).toMatchObject({
      step: 6,
      epoch: 1,
    });
    await restoreReplaced(folder);
    expect(readdirSync(folder).sort()).toEqual(['epoch-0000', 'epoch-0001', 'stopped-000005']);
  });

  it.each<[string, (path: string) => void]>([
    ['a changed byte', (path) => flipByte(join(path, 'state.safetensors'), 200)],
    ['a changed header', (path) => flipByte(join(path, 'state.safetensors'), 20)],
    ['a truncated file', (path) => truncateSync(join(path, 'state.safetensors'), 100)],
    ['a missing state', (path) => rmSync(join(path, 'state.safetensors'))],
    ['a missing record', (path) => rmSync(join(path, 'checkpoint.json'))],
    ['a record that is not one', (path) => writeFileSync(join(path, 'checkpoint.json'), '{}')],
  ])('passes over %s, names the file, and takes the whole one before it', async (_, damage) => {
    const folder = temporaryFolder();
    const before = await writeEpoch(folder, 0);
    const { path } = await writeEpoch(folder, 1);
    damage(path);
    const warnings: string[] = [];
    const found = await findNewestCheckpoint(folder, (...damaged) =>
      warnings.push(describeDamage(...damaged)),
    );
    expect(found).toEqual(before);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(path);
    expect(warnings[0]).toContain(`going on from ${before.path} (step 3)`);
  });

  it('passes over as many as are damaged', async () => {
    const folder = temporaryFolder();
    const before = await writeEpoch(folder, 0);
    for (const epoch of [1, 2]) {
      const { path } = await writeEpoch(folder, epoch);
      truncateSync(join(path, 'state.safetensors'), 100);
    }
    const warned: string[] = [];
    const found = await findNewestCheckpoint(folder, ({ message }) => warned.push(message));
    expect(found).toEqual(before);
    expect(warned.map((text) => /epoch-\d+/.exec(text)![0])).toEqual(['epoch-0002', 'epoch-0001']);
  });

  it('says so when no other is whole', async () => {
    const folder = temporaryFolder();
    const { path } = await writeEpoch(folder, 0);
    flipByte(join(path, 'state.safetensors'), 200);
    await expect(findNewestCheckpoint(folder, nothingIsDamaged)).rejects.toMatchObject({
      remedy: expect.stringContaining('no other checkpoint is whole'),
    });
  });
});

describe('pruneCheckpoints', () => {
  it('removes what cannot be read, and what is of later steps than the run has come to again', async () => {
    const folder = temporaryFolder();
    for (const epoch of [0, 1, 2]) await writeEpoch(folder, epoch);
    rmSync(join(folder, 'epoch-0001', 'checkpoint.json'));
    await pruneCheckpoints(folder, { epochs: [], keep: 2, step: 5 });
    expect(readdirSync(folder)).toEqual(['epoch-0000']);
  });
});

describe('keptCheckpoints', () => {
  const epochs = [0.5, 0.1, 0.3, 0.4].map(
    (error_rate, epoch): EpochRecord => ({
      epoch,
      train_loss: 1,
      valid_loss: 1,
      error_rate,
      balanced_error: 1,
      macro_f1: 0,
      top5_error: 1,
      seconds: 1,
      imagesPerSecond: 1,
    }),
  );

  it('keeps the newest and the best', () => {
    const names = ['epoch-0003', 'epoch-0002', 'epoch-0001', 'stopped-000002', 'epoch-0000'];
    const newest = ['epoch-0003', 'epoch-0002'];
    expect(keptCheckpoints(names, { epochs, keep: 2 })).toEqual([...newest, 'epoch-0001']);
    expect(keptCheckpoints(newest, { epochs, keep: 2 })).toEqual(newest);
    expect(keptCheckpoints(names, { epochs: [], keep: 2 })).toEqual(newest);
    expect(keptCheckpoints(names, { epochs: [], keep: 4 })).toEqual(names);
  });

  it('keeps as many inside epochs, as long as they are among the newest', () => {
    const inside = ['step-000015', 'step-000014', 'stopped-000013'];
    const names = [...inside, 'epoch-0003', 'step-000011', 'epoch-0002', 'step-000008', 'epoch-0001'];
    expect(keptCheckpoints(names, { epochs: [], keep: 2 })).toEqual([
      ...['step-000015', 'step-000014', 'epoch-0003', 'epoch-0002'],
    ]);
    const after = ['epoch-0004', 'step-000015', 'epoch-0003', 'step-000011', 'epoch-0002', 'step-000008'];
    expect(keptCheckpoints(after, { epochs: [], keep: 2 })).toEqual([
      ...['epoch-0004', 'step-000015', 'epoch-0003'],
    ]);
  });
});

function flipByte(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1;
  writeFileSync(path, bytes);
}
