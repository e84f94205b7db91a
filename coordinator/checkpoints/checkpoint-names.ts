import { copyFile, link, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { planStep } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import { realFiles, replaceFolder, syncDirectory, temporaryName } from '../../runtime/durable-file.js';

/**
 * `epoch-0003`: after the epoch counted 3 from 0. `step-000042`: inside an epoch, after 42 steps;
 * `stopped-000042` where the run was stopped there.
 */
export function nameCheckpoint(end: {
  readonly epoch: number;
  readonly step: number;
  readonly whole: boolean;
  readonly stopped?: boolean;
}): string {
  if (end.whole) return `epoch-${String(end.epoch).padStart(4, '0')}`;
  return `${end.stopped ? 'stopped' : 'step'}-${String(end.step).padStart(6, '0')}`;
}

/** Whether a folder of this name holds a checkpoint under its first name. */
export function isCheckpointName(name: string): boolean {
  return /^(epoch|step|stopped)-\d+$/.test(name);
}

/**
 * `stage-1` for the state at the end of the first phase, when that phase is frozen: where other recipes for
 * the unfrozen epochs start from. Null for any other state.
 *
 * @param end.endsPhase the phase ends with it, earlier than planned
 */
export function nameStage(
  config: RunConfig,
  { step, whole, endsPhase = false }: { step: number; whole: boolean; endsPhase?: boolean },
): string | null {
  if (!whole) return null;
  const { phase, trainable, lastOfPhase } = planStep(config, step - 1);
  return trainable === 'frozen' && (lastOfPhase || endsPhase) ? `stage-${phase + 1}` : null;
}

/**
 * Gives a checkpoint's folder a second name, in place of what has that name. The files are shared where the
 * file system can, so that it costs nothing; either may be removed without the other.
 */
export async function nameAgain(path: string, second: string): Promise<void> {
  const temporary = temporaryName(second);
  try {
    await mkdir(temporary);
    for (const name of await readdir(path)) {
      const [from, to] = [join(path, name), join(temporary, name)];
      await link(from, to).catch(() => copyFile(from, to));
    }
    await syncDirectory(temporary, realFiles);
    await replaceFolder(temporary, second);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
