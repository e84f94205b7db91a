import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/**
 * Null where this process may mount a file system; otherwise why tests that need a small disk are left out.
 */
export const whyWithoutTinyDisk: string | null = (() => {
  const folder = mkdtempSync(join(tmpdir(), 'rondo-disk-'));
  try {
    const mounted = mount(folder, 64);
    if (mounted) spawnSync('umount', [folder]);
    return mounted ? null : 'only root may mount a small disk';
  } finally {
    rmSync(folder, { recursive: true });
  }
})();

/** A disk of so many KiB for the duration of a test. */
export function mountTinyDisk(kibibytes: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'rondo-disk-'));
  if (!mount(folder, kibibytes)) throw new Error(`cannot mount ${folder}`);
  onTestFinished(() => {
    spawnSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

/** Takes all the room that there is. */
export function fillDisk(folder: string): void {
  const file = openSync(join(folder, 'filler'), 'w');
  try {
    for (;;) writeSync(file, Buffer.alloc(1024));
  } catch {
    // It is full.
  } finally {
    closeSync(file);
  }
}

function mount(folder: string, kibibytes: number): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', folder]).status === 0;
}
