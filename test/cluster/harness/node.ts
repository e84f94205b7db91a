import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run, start, waitFor } from './commands.js';
import { network, nodeName, type Place } from './place.js';

/** What the kubelet sets for the whole machine; `stopCluster` puts them back. */
export const changedSettings = ['vm.overcommit_memory', 'kernel.panic', 'kernel.panic_on_oops'];

/** containerd with the images of a folder, kubelet and kube-proxy. */
export async function startNode(place: Place, images: string): Promise<void> {
  const file = (name: string) => path.join(place.folder, name);
  writeFileSync(file('sysctl.conf'), await run('sysctl', changedSettings));
  mkdirSync(file('cni'));
  writeFileSync(file('cni/10-bridge.conflist'), JSON.stringify(podNetwork(place)));
  writeFileSync(file('containerd.toml'), containerdConfig(place));
  writeFileSync(file('kubelet.json'), JSON.stringify(kubeletConfig(place)));
  writeFileSync(file('proxy.json'), JSON.stringify(proxyConfig(place)));

  start(place, 'containerd', 'containerd', ['--config', file('containerd.toml')]);
  const ctr = (...args: string[]) =>
    run('ctr', ['--address', place.containerdSocket, '-n', 'k8s.io', ...args]);
  await waitFor('containerd', () => ctr('version'));
  for (const name of readdirSync(images)) await ctr('images', 'import', path.join(images, name));

  start(place, 'kubelet', path.join(place.programs, 'kubelet'), [
    ...[
      `--config=${file('kubelet.json')}`,
      `--kubeconfig=${file('kubelet.conf')}`,
      `--root-dir=${file('kubelet')}`,
    ],
    ...[`--hostname-override=${nodeName}`, `--node-ip=${network.nodeAddress}`],
  ]);
  start(place, 'kube-proxy', path.join(place.programs, 'kube-proxy'), [`--config=${file('proxy.json')}`]);
  await waitFor(
    'the node',
    async () => {
      const args = [`--kubeconfig=${place.kubeconfig}`, 'get', 'node', nodeName, '-o', 'json'];
      const { status } = JSON.parse(await run(path.join(place.programs, 'kubectl'), args)) as {
        status: { conditions: { type: string; status: string }[] };
      };
      return status.conditions.some(({ type, status: holds }) => type === 'Ready' && holds === 'True');
    },
    { withinMs: 300_000 },
  );
}

function podNetwork({ folder }: Place): object {
  const ipam = {
    type: 'host-local',
    dataDir: path.join(folder, 'ipam'),
    ranges: [[{ subnet: network.pods }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  const bridge = { type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: false, hairpinMode: true, ipam };
  const ports = { type: 'portmap', capabilities: { portMappings: true } };
  return { cniVersion: '1.0.0', name: 'pods', plugins: [bridge, ports] };
}

function containerdConfig({ folder, containerdSocket }: Place): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `version = 2
root = "${folder}/containerd"
state = "${folder}/containerd-state"
[grpc]
address = "${containerdSocket}"
[plugins."io.containerd.internal.v1.opt"]
path = "${folder}/containerd-opt"
[${cri}]
sandbox_image = "localhost/pause:1"
disable_apparmor = true
# Without CAP_SYS_RESOURCE it cannot be lowered.
restrict_oom_score_adj = true
[${cri}.cni]
bin_dir = "/usr/lib/cni"
conf_dir = "${folder}/cni"
[${cri}.containerd]
snapshotter = "overlayfs"
[${cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[${cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
`;
}

function kubeletConfig({ folder, containerdSocket }: Place): object {
  const pki = (name: string) => path.join(folder, 'pki', name);
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: pki('ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: pki('kubelet.crt'),
    tlsPrivateKeyFile: pki('kubelet.key'),
    clusterDomain: 'cluster.local',
    clusterDNS: [network.dns],
    resolvConf: '',
    podLogsDir: path.join(folder, 'pod-logs'),
    failSwapOn: false,
    // The machine's disk is others' too.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
  };
}

function proxyConfig({ folder }: Place): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clusterCIDR: network.pods,
    hostnameOverride: nodeName,
    clientConnection: { kubeconfig: path.join(folder, 'proxy.conf') },
    // Those are the machine's.
    conntrack: { maxPerCore: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
}
