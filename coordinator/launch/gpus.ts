import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const listingMs = 10_000;

/**
 * The GPUs that workers may use, as values for CUDA_VISIBLE_DEVICES; empty where there are none. A
 * CUDA_VISIBLE_DEVICES of our own narrows them down.
 */
export function findGpus(environment: NodeJS.ProcessEnv = process.env): readonly string[] {
  const chosen = environment.CUDA_VISIBLE_DEVICES;
  const count = countDevices();
  if (count === 0) return [];
  if (chosen === undefined) return Array.from({ length: count }, (_, index) => String(index));
  return parseVisibleDevices(chosen);
}

/** CUDA reads the list up to the first entry that names no device. */
export function parseVisibleDevices(list: string): readonly string[] {
  const entries = list.split(',').map((entry) => entry.trim());
  const end = entries.findIndex((entry) => !/^(\d+|GPU-[\w-]+|MIG-[\w/-]+)$/.test(entry));
  return end < 0 ? entries : entries.slice(0, end);
}

function countDevices(): number {
  try {
    return readdirSync('/proc/driver/nvidia/gpus').length;
  } catch {
    return countListed();
  }
}

function countListed(): number {
  try {
    const listing = execFileSync('nvidia-smi', ['-L'], {
      timeout: listingMs,
      encoding: 'utf8',
      stdio: 'pipe',
    });
    return listing.split('\n').filter((line) => line.startsWith('GPU ')).length;
  } catch {
    return 0;
  }
}
