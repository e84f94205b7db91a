import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';

/** Faults of the machine or the network that pass; whatever else goes wrong does so again at once. */
const passingFaults = new Set([
  ...['EAGAIN', 'EBUSY', 'EINTR', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'EREMOTEIO', 'ESTALE', 'ETIMEDOUT'],
  ...['ECONNREFUSED', 'ECONNRESET', 'EHOSTDOWN', 'EHOSTUNREACH', 'ENETDOWN', 'ENETUNREACH', 'ENOTCONN'],
]);

/** Reads a whole file; tests bring a file system with faults. */
export type ReadFile = (file: string) => Promise<Buffer>;

/**
 * Where nothing can go on without the file: 15 s in all, for a disk or a share may be away for a moment, and a
 * run that reads nothing for a minute counts as stalled.
 */
export const patientWaitsMs = [100, 300, 1_000, 3_000, 10_000] as const;

/** Where a file can be left out: short, for a disk may have many faults. */
export const briefWaitsMs = [50, 100, 150] as const;

export interface Patience {
  /** Before each further try, in ms. */
  readonly waitsMs: readonly number[];
  readonly signal?: AbortSignal;
  readonly read?: ReadFile;
  /** Told before each wait. */
  onFault?(error: Error, waitMs: number): void;
}

/**
 * Reads a file, again after faults that pass by themselves (of disks, of network shares, too many open
 * files). Rejects with the last fault, or as soon as the signal comes.
 */
export async function readPatiently(file: string, o: Patience): Promise<Buffer> {
  const { read = readFile, signal } = o;
  for (const waitMs of o.waitsMs) {
    try {
      return await read(file);
    } catch (error) {
      if (!passingFaults.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      o.onFault?.(error as Error, waitMs);
      await setTimeout(waitMs, undefined, { signal });
    }
  }
  return read(file);
}

/** Why a file that was listed cannot be read. */
export function describeUnreadable(error: unknown): string {
  return isGone(error) ? 'vanished after it was listed' : `cannot be read: ${describeSystemError(error)}`;
}

/** Nothing is there. */
export function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** "EACCES: permission denied", without the path, which is said anyway. */
export function describeSystemError(error: unknown): string {
  return error instanceof Error ? error.message.split(',')[0]! : String(error);
}
