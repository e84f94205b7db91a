import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect } from 'vitest';
import { fillDisk, whyWithoutTinyDisk } from '../support/tiny-disk.js';
import { cell, type Disturbed, expectCommitted, faultAtWrite, openDisturbedRuns } from './disturbed-run.js';

const disturbed = openDisturbedRuns();
const { root } = disturbed.runs;
const filler = path.join(root, 'most-of-it');
/** Three checkpoints of a ResNet18, and some more. */
const diskMib = 900;

describe.skipIf(whyWithoutTinyDisk !== null)('a disk that is full', () => {
  const fault = 'the disk is full; the run is resumed when there is room';
  spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${diskMib}m`, 'tmpfs', root]);
  afterAll(() => void spawnSync('umount', ['-l', root]));

  /** Leaves so much room. */
  const fill = (leftBytes: number) => {
    const { bavail, bsize } = statfsSync(root);
    // The file itself takes some.
    const taken = spawnSync('fallocate', ['-l', String(bavail * bsize - leftBytes - (1 << 20)), filler]);
    expect(taken.status, taken.stderr.toString()).toBe(0);
    if (leftBytes === 0) fillDisk(root);
  };
  const free = () => {
    for (const file of [filler, path.join(root, 'filler')]) rmSync(file, { force: true });
  };
  const fillsUp = async (run: Disturbed) => {
    fill(0);
    const { code, events } = await run.exited();
    free();
    expect(code).toBe(1);
    const error = events.find(({ kind }) => kind === 'error');
    expect(error).toMatchObject({ code: 'resource-exhausted', message: expect.stringContaining(root) });
    expect(error!.remedy).toMatch(/free some space/);
    run.resume();
    await run.expectUnharmed();
    rmSync(disturbed.runs.run(run.name), { recursive: true });
  };

  cell(fault, 'joining', async () => {
    const run = disturbed.start();
    await run.coordinator.event(({ kind }) => kind === 'waiting');
    await fillsUp(run);
  });
  cell(fault, 'compute', async () => {
    const run = disturbed.start();
    await run.coordinator.event(({ kind, step }) => kind === 'step' && step === 3);
    await fillsUp(run);
  });
  cell(fault, 'evaluate', async () => {
    const run = disturbed.start();
    await run.coordinator.event(({ kind, step }) => kind === 'step' && step === 5);
    await fillsUp(run);
  });
  cell(fault, 'checkpoint', async () => {
    const run = disturbed.start();
    await run.coordinator.event(({ kind, step }) => kind === 'step' && step === 3);
    // Lines go on, a checkpoint does not.
    fill(16 << 20);
    await run.coordinator.event(({ kind, text }) => kind === 'warning' && /was not saved/.test(String(text)));
    free();
    await run.expectUnharmed();
    rmSync(disturbed.runs.run(run.name), { recursive: true });
  });
});

for (const [phase, pattern, at] of [
  ['joining', '^sync .*/coordinator.json$', 4],
  ['checkpoint', '^sync .*/epoch-\\d+/state.safetensors$', 0],
] as const) {
  cell('the disk reports an error (fsync); the run is resumed', phase, async () => {
    const file = path.join(disturbed.marks, `fsync-${phase}`);
    const run = disturbed.start(faultAtWrite('EIO', { pattern, at, file }));
    const { code, events } = await run.exited();
    expectCommitted(file);
    const error = events.find(({ kind }) => kind === 'error');
    // A checkpoint that was not saved is no reason to end, if a later one is.
    if (code === 0) {
      expect(phase).toBe('checkpoint');
      expect(events.some(({ kind, text }) => kind === 'warning' && /was not saved/.test(String(text)))).toBe(
        true,
      );
    } else {
      expect(error!.message).toMatch(/cannot write .*EIO/);
      run.resume();
    }
    await run.expectUnharmed();
  });
}

/** Kills a run that has two checkpoints, damages the newer one's state, and goes on with the run. */
function cellOfDamage(fault: Parameters<typeof cell>[0], damage: (file: string) => void): void {
  cell(fault, 'checkpoint', async () => {
    const longer = ['--epochs', '6'];
    const run = disturbed.start({}, [...longer, '--checkpoint-steps', '4']);
    const names: string[] = [];
    const second = await run.coordinator.event(({ kind, name }) => {
      if (kind === 'checkpoint' && !names.includes(String(name))) names.push(String(name));
      return kind === 'checkpoint' && names.length === 2;
    });
    await run.killAll();
    damage(path.join(disturbed.runs.run(run.name), 'checkpoints', String(second.name), 'state.safetensors'));
    run.resume();
    const warned = await run.coordinator.event(
      ({ kind, text }) => kind === 'warning' && String(text).includes(names[1]!),
    );
    expect(warned.text).toContain(names[0]);
    await run.expectUnharmed(await disturbed.endOf(...longer));
  });
}

cellOfDamage('a byte of the newest checkpoint is another, and the run is resumed', (file) => {
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(file, bytes);
});
cellOfDamage('half of the newest checkpoint is missing, and the run is resumed', (file) => {
  truncateSync(file, readFileSync(file).length >> 1);
});
