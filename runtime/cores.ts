import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { posix } from 'node:path';

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

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
