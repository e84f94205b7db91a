import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, getPriority, release } from 'node:os';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { askForSlices, cpuQuota, limitCores, usableCores } from '../../runtime/cores.js';

const mount2 = '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate';
const mount1 = '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct';

function quotaIn(files: Readonly<Record<string, string>>): number | null {
  return cpuQuota((path) => files[path] ?? null);
}

describe('cpuQuota', () => {
  it.each<[string, number | null, Record<string, string>]>([
    [
      'of a container with version 2, which sees its cgroup as the root',
      1.5,
      {
        '/proc/self/cgroup': '0::/\n',
        '/proc/self/mountinfo': `22 1 0:20 / / rw - overlay overlay rw\n${mount2}\n`,
        '/sys/fs/cgroup/cpu.max': '150000 100000\n',
      },
    ],
    [
      'of a service within a slice that has less',
      2,
      {
        '/proc/self/cgroup': '0::/system.slice/rondo.service\n',
        '/proc/self/mountinfo': mount2,
        '/sys/fs/cgroup/system.slice/cpu.max': '200000 100000\n',
        '/sys/fs/cgroup/system.slice/rondo.service/cpu.max': '800000 100000\n',
      },
    ],
    [
      'of a service that has less than its slice',
      0.5,
      {
        '/proc/self/cgroup': '0::/system.slice/rondo.service\n',
        '/proc/self/mountinfo': mount2,
        '/sys/fs/cgroup/system.slice/cpu.max': '200000 100000\n',
        '/sys/fs/cgroup/system.slice/rondo.service/cpu.max': '5000 10000\n',
      },
    ],
    [
      'of none',
      null,
      {
        '/proc/self/cgroup': '0::/a\n',
        '/proc/self/mountinfo': mount2,
        '/sys/fs/cgroup/a/cpu.max': 'max 100000\n',
      },
    ],
    [
      'of version 1',
      3,
      {
        '/proc/self/cgroup': '5:memory:/else\n4:cpu,cpuacct:/docker/abc\n0::/\n',
        '/proc/self/mountinfo': mount1,
        '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us': '300000\n',
        '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us': '100000\n',
        '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1\n',
        '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
      },
    ],
    [
      'of version 1 in a container that is mounted its own cgroup and told the host’s path',
      2,
      {
        '/proc/self/cgroup': '4:cpu,cpuacct:/docker/abc\n',
        '/proc/self/mountinfo': mount1.replace(' / ', ' /docker/abc '),
        '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '200000\n',
        '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
      },
    ],
    [
      'of version 1 where the mount is another branch than the path',
      1,
      {
        '/proc/self/cgroup': '4:cpu,cpuacct:/kubepods/pod1\n',
        '/proc/self/mountinfo': mount1.replace(' / ', ' /docker/abc '),
        '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '100000\n',
        '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
      },
    ],
    [
      'of the lower one where both versions are there',
      2,
      {
        '/proc/self/cgroup': '4:cpu,cpuacct:/a\n0::/b\n',
        '/proc/self/mountinfo': `${mount1}\n${mount2.replace('/sys/fs/cgroup', '/sys/fs/cgroup/unified')}\n`,
        '/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us': '400000\n',
        '/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us': '100000\n',
        '/sys/fs/cgroup/unified/b/cpu.max': '200000 100000\n',
      },
    ],
    [
      'at a mount point with a space',
      2,
      {
        '/proc/self/cgroup': '0::/\n',
        '/proc/self/mountinfo': mount2.replace('/sys/fs/cgroup', '/my\\040groups'),
        '/my groups/cpu.max': '200000 100000\n',
      },
    ],
    ['of a system without cgroups', null, {}],
    ['of text that is none', null, { '/proc/self/cgroup': 'what\n', '/proc/self/mountinfo': 'what - \n' }],
  ])('is that %s', (_, expected, files) => {
    expect(quotaIn(files)).toBe(expected);
  });
});

describe('limitCores', () => {
  it.each([
    [8, 3, 3],
    [8, 2.9, 2],
    [2, 4, 2],
    [8, 0.2, 1],
  ])('takes of %i cores under a quota of %d the whole ones: %i', (cores, quota, expected) => {
    expect(limitCores(cores, quota)).toBe(expected);
  });
});

it('finds cores on this machine', () => {
  expect(usableCores()).toBeGreaterThanOrEqual(1);
  expect(usableCores()).toBeLessThanOrEqual(availableParallelism());
});

const file = '/proc/thread-self/sched';
const [major, minor] = release().split('.').map(Number);
/** Where a thread may choose, and tells. */
const canChoose = existsSync(file) && (major! > 6 || (major === 6 && minor! >= 12));

const readSlice = (text: string) => Number(/slice +: +(\d+)/.exec(text)?.[1]);
const ownSlice = () => readSlice(readFileSync(file, 'utf8'));

const before = canChoose ? ownSlice() : 0;

afterEach(() => {
  if (canChoose) askForSlices(before / 1e6);
});

describe.runIf(canChoose)('askForSlices', () => {
  it('gives this thread slices of that length, and leaves its priority alone', () => {
    const priority = getPriority();
    askForSlices(20);
    expect(ownSlice()).toBe(20e6);
    expect(getPriority()).toBe(priority);
  });

  it('gives them to threads that start afterwards', async () => {
    askForSlices(30);
    const program = `require('node:worker_threads').parentPort.postMessage(require('node:fs').readFileSync('${file}', 'utf8'))`;
    const [text] = (await once(new Worker(program, { eval: true }), 'message')) as [string];
    expect(readSlice(text)).toBe(30e6);
  });
});

describe('askForSlices, anywhere', () => {
  it('changes nothing where it cannot: no slice is as long', () => {
    expect(() => askForSlices(1e9)).not.toThrow();
  });
});
