import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from './commands.js';
import { network, nodeName, type Place } from './place.js';

const members = [
  {
    name: 'apiserver',
    subject: '/CN=kube-apiserver',
    names:
      `IP:${network.nodeAddress},IP:127.0.0.1,IP:${network.apiService},DNS:kubernetes,DNS:kubernetes.default,` +
      'DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local',
  },
  { name: 'admin', subject: '/O=system:masters/CN=admin' },
  { name: 'controller-manager', subject: '/CN=system:kube-controller-manager' },
  { name: 'scheduler', subject: '/CN=system:kube-scheduler' },
  {
    name: 'kubelet',
    subject: `/O=system:nodes/CN=system:node:${nodeName}`,
    names: `DNS:${nodeName},IP:${network.nodeAddress}`,
  },
  { name: 'proxy', subject: '/CN=system:kube-proxy' },
];

/** The cluster's authority, a certificate for each program, and a kubeconfig with it: NAME.conf. */
export async function makeCertificates(place: Place): Promise<void> {
  const folder = path.join(place.folder, 'pki');
  mkdirSync(folder);
  const file = (name: string) => path.join(folder, name);
  const openssl = (...args: string[]) => run('openssl', args);
  const key = (name: string) =>
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', file(`${name}.key`));

  await key('ca');
  const ca = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial'];
  await openssl(
    'req',
    '-x509',
    '-new',
    '-key',
    file('ca.key'),
    '-subj',
    '/CN=kube',
    '-days',
    '9',
    '-out',
    file('ca.crt'),
  );
  await openssl('genrsa', '-out', file('sa.key'), '2048');
  await openssl('rsa', '-in', file('sa.key'), '-pubout', '-out', file('sa.pub'));
  for (const { name, subject, names } of members) {
    await key(name);
    const request = file(`${name}.csr`);
    await openssl('req', '-new', '-key', file(`${name}.key`), '-subj', subject, '-out', request);
    const extensions = file(`${name}.ext`);
    const alternative = names === undefined ? '' : `subjectAltName=${names}\n`;
    writeFileSync(extensions, `extendedKeyUsage=serverAuth,clientAuth\n${alternative}`);
    const out = ['-days', '9', '-extfile', extensions, '-out', file(`${name}.crt`)];
    await openssl('x509', '-req', '-in', request, ...ca, ...out);
    writeFileSync(path.join(place.folder, `${name}.conf`), kubeconfig(folder, name));
  }
}

function kubeconfig(folder: string, name: string): string {
  const cluster = {
    server: `https://${network.nodeAddress}:6443`,
    'certificate-authority': path.join(folder, 'ca.crt'),
  };
  const user = {
    'client-certificate': path.join(folder, `${name}.crt`),
    'client-key': path.join(folder, `${name}.key`),
  };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster }],
    users: [{ name: 'user', user }],
    contexts: [{ name: 'context', context: { cluster: 'cluster', user: 'user' } }],
    'current-context': 'context',
  });
}
