import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { attempt, end } from './commands.js';
import { network, type Place } from './place.js';

/**
 * Ends what is left of a cluster, of this process or an earlier one: its programs by pid, the pods' processes, the mounts, network
 * namespaces and control groups that they left; and puts back the kernel's settings that the kubelet changed.
 */
export async function stopCluster(place: Place): Promise<void> {
  for (const name of ['kubelet', 'kube-proxy']) await end(place, name);
  await endPods(place);
  await end(place, 'containerd');
  for (const name of ['kube-scheduler', 'kube-controller-manager', 'kube-apiserver', 'etcd']) {
    await end(place, name, 'SIGKILL');
  }
  // Those within others first.
  for (const mount of mountsBelow(place.folder).reverse()) await attempt('umount', mount);
  await removeNamespaces(place);
  await attempt(
    'sh',
    '-c',
    'for d in /sys/fs/cgroup/*/kubepods; do [ ! -d "$d" ] || find "$d" -depth -type d -exec rmdir {} \\; ; done',
  );
  const settings = path.join(place.folder, 'sysctl.conf');
  if (existsSync(settings)) await attempt('sysctl', '-q', '-p', settings);
  rmSync(place.folder, { recursive: true, force: true });
}

async function endPods({ containerdSocket }: Place): Promise<void> {
  if (!existsSync(containerdSocket)) return;
  const ctr = (...args: string[]) => attempt('ctr', '--address', containerdSocket, '-n', 'k8s.io', ...args);
  const list = async (what: string) =>
    ((await ctr(what, 'ls', '-q')) ?? '').split('\n').filter((id) => id !== '');
  const tasks = await list('task');
  for (const id of tasks) await ctr('task', 'kill', '-s', 'KILL', id);
  if (tasks.length > 0) await sleep(1_000);
  for (const id of await list('task')) await ctr('task', 'delete', '-f', id);
  for (const id of await list('container')) await ctr('container', 'delete', id);
}

function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((mount) => mount.startsWith(`${folder}/`));
}

/** The cluster's own, and those that its pods got. */
async function removeNamespaces(place: Place): Promise<void> {
  const marker = path.join(place.folder, 'pki/ca.key');
  const bornMs = existsSync(marker) ? statSync(marker).mtimeMs : Number.POSITIVE_INFINITY;
  for (const name of existsSync('/run/netns') ? readdirSync('/run/netns') : []) {
    const isPods = name.startsWith('cni-') && statSync(path.join('/run/netns', name)).ctimeMs > bornMs;
    if (isPods) await attempt('ip', 'netns', 'del', name);
  }
  await attempt('ip', 'link', 'del', network.hostInterface);
  await attempt('ip', 'netns', 'del', network.namespace);
}
