import { existsSync } from 'node:fs';
import { attempt } from './commands.js';

/** Each command and Debian's package of it. */
const commands = {
  containerd: 'containerd',
  ctr: 'containerd',
  runc: 'runc',
  podman: 'podman',
  debootstrap: 'debootstrap',
  ip: 'iproute2',
  nft: 'nftables',
  iptables: 'iptables',
  conntrack: 'conntrack',
  ethtool: 'ethtool',
  socat: 'socat',
  openssl: 'openssl',
  gcc: 'gcc',
  nsenter: 'util-linux',
} as const;

/** What this machine lacks to run a Kubernetes; null when nothing. */
export async function missingRequirements(): Promise<string | null> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    return 'a Kubernetes is started here, which needs Linux and root';
  }
  if ((await attempt('go', 'version')) === null) {
    return 'Kubernetes is built here, which needs Go 1.26 or newer: https://go.dev/dl';
  }
  const packages = new Set<string>();
  for (const [command, name] of Object.entries(commands)) {
    if ((await attempt('sh', '-c', `command -v ${command}`)) === null) packages.add(name);
  }
  if (!existsSync('/usr/lib/cni/bridge')) packages.add('containernetworking-plugins');
  if (packages.size === 0) return null;
  return `this machine lacks programs: apt-get install --no-install-recommends ${[...packages].join(' ')}`;
}
