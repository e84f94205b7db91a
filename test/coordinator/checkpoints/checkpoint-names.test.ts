import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  readCheckpointRecord,
  verifyCheckpoint,
  writeCheckpoint,
} from '../../../coordinator/checkpoints/checkpoint-file.js';
import {
  findNewestCheckpoint,
  pruneCheckpoints,
} from '../../../coordinator/checkpoints/checkpoint-folder.js';
import { nameAgain, nameStage } from '../../../coordinator/checkpoints/checkpoint-names.js';
import { fakeState } from '../../support/fake-run.js';
import { temporaryFolder, tinyConfig } from '../../support/tiny-run.js';

/** A frozen epoch and two unfrozen ones, of 3 steps each. */
const config = tinyConfig();

describe('nameStage', () => {
  it('names the end of the frozen phase, and nothing else', () => {
    const names = Array.from({ length: 9 }, (_, index) =>
      nameStage(config, { step: index + 1, whole: true }),
    );
    expect(names).toEqual([null, null, 'stage-1', null, null, null, null, null, null]);
    expect(nameStage(config, { step: 3, whole: false })).toBeNull();
  });

  it('names it also when nothing follows', () => {
    const [frozen] = config.phases;
    expect(nameStage(tinyConfig({ phases: [frozen!] }), { step: 3, whole: true })).toBe('stage-1');
  });
});

describe('nameAgain', () => {
  const write = (folder: string, name: string, step: number) =>
    writeCheckpoint(join(folder, name), { epoch: 0, whole: true, runConfigDigest: 'c', ...fakeState(step) });

  it('shares the files, and outlives the first name', async () => {
    const folder = temporaryFolder();
    const { path } = await write(folder, 'stage-1', 3);
    const second = join(folder, 'epoch-0000');
    await nameAgain(path, second);
    const inode = (of: string) => statSync(join(of, 'state.safetensors')).ino;
    expect(inode(second)).toBe(inode(path));
    rmSync(path, { recursive: true });
    const checkpoint = await readCheckpointRecord(second);
    await verifyCheckpoint(checkpoint);
    expect(checkpoint.record.step).toBe(3);
    expect(readdirSync(folder)).toEqual(['epoch-0000']);
  });

  it('takes the place of what has the name', async () => {
    const folder = temporaryFolder();
    await write(folder, 'epoch-0000', 2);
    writeFileSync(join(folder, 'epoch-0000', 'more'), '');
    const { path } = await write(folder, 'stage-1', 3);
    await nameAgain(path, join(folder, 'epoch-0000'));
    expect(JSON.parse(readFileSync(join(folder, 'epoch-0000', 'checkpoint.json'), 'utf8')).step).toBe(3);
    expect(readdirSync(join(folder, 'epoch-0000')).sort()).toEqual(['checkpoint.json', 'state.safetensors']);
  });

  it('is passed over by pruning and by resuming', async () => {
    const folder = temporaryFolder();
    await write(folder, 'stage-1', 3);
    for (const epoch of [1, 2, 3, 4]) await write(folder, `epoch-000${epoch}`, 3 * (epoch + 1));
    await pruneCheckpoints(folder, { epochs: [], keep: 2, step: 15 });
    expect(readdirSync(folder).sort()).toEqual(['epoch-0003', 'epoch-0004', 'stage-1']);
    expect((await findNewestCheckpoint(folder, () => expect.unreachable()))?.record.step).toBe(15);
  });
});
