import { readFileSync } from 'node:fs';
import { availableParallelism, getPriority } from 'node:os';
import { posix } from 'node:path';
import koffi from 'koffi';

/**
 * Cores that this process may keep busy: those of its affinity mask, or fewer where a cgroup's quota (a
 * container's CPU limit) is lower. More threads than that would be stopped by the kernel for the rest of each
 * period. At least 1.
 */
export function usableCores(): number {
  const quota = cpuQuota(readIfThere);
  return quota === null ? availableParallelism() : limitCores(availableParallelism(), quota);
}

/** Whole cores of `cores` within `quota`, a number of cores with a fraction. */
export function limitCores(cores: number, quota: number): number {
  return Math.max(1, Math.min(cores, Math.floor(quota)));
}

/**
 * The lowest CPU quota of the process's cgroup and all above it, in cores; null where none is set. Version 1
 * (`cpu.cfs_quota_us`) and version 2 (`cpu.max`), and both at once, as systemd's hybrid layout has them.
 * `read` gives a file's text, or null where there is none.
 */
export function cpuQuota(read: (path: string) => string | null): number | null {
  const mounts = parseMounts(read('/proc/self/mountinfo') ?? '');
  const groups = (read('/proc/self/cgroup') ?? '').split('\n').flatMap((line) => {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    return match === null ? [] : [{ controllers: match[1]!.split(','), path: match[2]! }];
  });
  const quotas = groups.flatMap(({ controllers, path }) => {
    const unified = controllers[0] === '';
    if (!unified && !controllers.includes('cpu')) return [];
    const mount = mounts.find(({ type, options }) =>
      unified ? type === 'cgroup2' : type === 'cgroup' && options.includes('cpu'),
    );
    if (mount === undefined) return [];
    return foldersUpTo(mount, path).flatMap((folder) => quotaOf(folder, unified, read) ?? []);
  });
  return quotas.reduce<number | null>((least, quota) => Math.min(least ?? quota, quota), null);
}

interface Mount {
  /** The cgroup that is mounted at `point`. */
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** proc_pid_mountinfo(5): `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS…] - TYPE SOURCE SUPER-OPTIONS`. */
function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ');
    const [root, point] = before!.split(' ').slice(3).map(readOctal);
    const [type, , options] = after?.split(' ') ?? [];
    if (root === undefined || point === undefined || type === undefined) return [];
    return [{ root, point, type, options: options?.split(',') ?? [] }];
  });
}

/** Spaces and their like are written in octal. */
function readOctal(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The folder of the cgroup `path`, and those above it as far as they are mounted. */
function foldersUpTo({ root, point }: Mount, path: string): string[] {
  const within = posix.relative(root, path);
  // A container may see its own cgroup as the mount, and its path as the host's.
  const parts = within.startsWith('..') ? [] : within.split('/').filter((part) => part !== '');
  return Array.from({ length: parts.length + 1 }, (_, depth) =>
    posix.join(point, parts.slice(0, depth).join('/')),
  );
}

function quotaOf(folder: string, unified: boolean, read: (path: string) => string | null): number | null {
  const [quota, period] = unified
    ? (read(`${folder}/cpu.max`) ?? '').trim().split(' ').map(Number)
    : [read(`${folder}/cpu.cfs_quota_us`), read(`${folder}/cpu.cfs_period_us`)].map((text) => Number(text));
  // "max" and -1 stand for no quota.
  return quota! > 0 && period! > 0 ? quota! / period! : null;
}

/** A file's text; null where there is none. */
export function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/**
 * Linux's numbers for the system call sched_setattr, for which the C library has a function only since glibc
 * 2.41.
 */
const schedSetattr: Partial<Record<NodeJS.Architecture, number>> = { x64: 314, arm64: 274 };

/**
 * Of <linux/sched/types.h>: the size of struct sched_attr's first version, and the flag that leaves the
 * policy as it is.
 */
const attributesBytes = 48;
const keepPolicy = 0x08;

/**
 * For threads that compute a network: a few convolutions long, where Linux's own 1.4 to 3 ms end amid each.
 * Longer ones gain no more, and let ranks drift apart.
 */
export const computeSliceMs = 20;

/**
 * Asks that this thread, and every thread that it starts afterwards, may keep its core for `sliceMs`
 * milliseconds (0.1 to 100) at a time while others wait for it. Where several compute on one core, each turn
 * begins with bringing one's data into the core's cache. What waits for something else, and wakes with a
 * shorter slice, still comes first.
 *
 * For Linux from 6.12 on. Elsewhere, and where it is forbidden, nothing changes: it is a matter of speed
 * only.
 */
export function askForSlices(sliceMs: number): void {
  const number = schedSetattr[process.arch];
  if (process.platform !== 'linux' || number === undefined) return;
  const attributes = Buffer.alloc(attributesBytes);
  attributes.writeUInt32LE(attributesBytes, 0);
  attributes.writeBigUInt64LE(BigInt(keepPolicy), 8);
  attributes.writeInt32LE(getPriority(), 16);
  attributes.writeBigUInt64LE(BigInt(Math.round(sliceMs * 1e6)), 24);
  const syscall = koffi.load(null).func('long syscall(long number, ...)');
  syscall(number, 'int', 0, 'void *', attributes, 'unsigned int', 0);
}
