import path from 'node:path';
import { inNamespace, run, start, waitFor } from './commands.js';
import { network, type Place } from './place.js';

/** The cluster's network namespace, joined to the machine. */
export async function makeNetwork(): Promise<void> {
  const { namespace, hostInterface, nodeInterface, hostAddress, nodeAddress, pods } = network;
  const ip = (...args: string[]) => run('ip', args);
  const inside = (...args: string[]) => run(...inNamespace('ip', args));
  await ip('netns', 'add', namespace);
  await ip('link', 'add', hostInterface, 'type', 'veth', 'peer', 'name', nodeInterface);
  await ip('link', 'set', nodeInterface, 'netns', namespace);
  await ip('addr', 'add', `${hostAddress}/24`, 'dev', hostInterface);
  await ip('link', 'set', hostInterface, 'up');
  await inside('link', 'set', 'lo', 'up');
  await inside('addr', 'add', `${nodeAddress}/24`, 'dev', nodeInterface);
  await inside('link', 'set', nodeInterface, 'up');
  // Service addresses need some route; the machine forwards nothing.
  await inside('route', 'add', 'default', 'via', hostAddress);
  await ip('route', 'add', pods, 'via', nodeAddress);
  await run(...inNamespace('sysctl', ['-qw', 'net.ipv4.ip_forward=1']));
}

export async function startControlPlane(place: Place): Promise<void> {
  const pki = (name: string) => path.join(place.folder, 'pki', name);
  const program = (name: string, ...args: string[]) =>
    start(place, name, path.join(place.programs, name), args);
  const conf = (name: string) => `--kubeconfig=${path.join(place.folder, `${name}.conf`)}`;
  const etcd = 'http://127.0.0.1:2379';
  program(
    'etcd',
    ...['--data-dir', path.join(place.folder, 'etcd'), '--unsafe-no-fsync'],
    ...['--listen-client-urls', etcd, '--advertise-client-urls', etcd],
    ...['--listen-peer-urls', 'http://127.0.0.1:2380'],
  );
  program(
    'kube-apiserver',
    ...[`--etcd-servers=${etcd}`, `--advertise-address=${network.nodeAddress}`, '--bind-address=0.0.0.0'],
    ...[
      '--secure-port=6443',
      `--service-cluster-ip-range=${network.services}`,
      '--authorization-mode=Node,RBAC',
    ],
    ...['--enable-admission-plugins=NodeRestriction', '--kubelet-preferred-address-types=InternalIP'],
    ...[`--tls-cert-file=${pki('apiserver.crt')}`, `--tls-private-key-file=${pki('apiserver.key')}`],
    ...[`--client-ca-file=${pki('ca.crt')}`, `--kubelet-certificate-authority=${pki('ca.crt')}`],
    ...[`--kubelet-client-certificate=${pki('admin.crt')}`, `--kubelet-client-key=${pki('admin.key')}`],
    ...['--service-account-issuer=https://kubernetes.default.svc'],
    ...[`--service-account-key-file=${pki('sa.pub')}`, `--service-account-signing-key-file=${pki('sa.key')}`],
  );
  const kubectl = (...args: string[]) =>
    run(path.join(place.programs, 'kubectl'), [`--kubeconfig=${place.kubeconfig}`, ...args]);
  await waitFor('the API server', () => kubectl('get', '--raw=/readyz'), { withinMs: 300_000 });
  // The controller manager gives up on an API server that takes longer than 30 s.
  program(
    'kube-controller-manager',
    ...[conf('controller-manager'), '--use-service-account-credentials', '--leader-elect=false'],
    ...[`--service-account-private-key-file=${pki('sa.key')}`, `--root-ca-file=${pki('ca.crt')}`],
  );
  program('kube-scheduler', conf('scheduler'), '--leader-elect=false');
  await waitFor('service accounts', () => kubectl('get', 'serviceaccount', 'default'));
}
