import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeCertificates } from './certificates.js';
import { run, waitFor } from './commands.js';
import { makeNetwork, startControlPlane } from './control-plane.js';
import { startNode } from './node.js';
import { nodeName, placeOf } from './place.js';
import { stopCluster } from './stop-cluster.js';

export interface Cluster {
  /** Gives what it printed; throws with its complaint. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  helm(args: readonly string[]): Promise<string>;
  /** `kubectl port-forward` with these arguments, to a free port of this machine. */
  forwardPort(args: readonly string[]): Promise<PortForward>;
  stop(): Promise<void>;
}

export interface PortForward {
  /** HOST:PORT of its near end. */
  readonly address: string;
  close(): void;
}

/**
 * A whole Kubernetes on this machine: control plane, one node, DNS, one local volume.
 *
 * @param o.programs folder of what test/cluster/programs builds. @param o.images folder of archives that the node is given.
 */
export async function startCluster(o: { programs: string; images: string }): Promise<Cluster> {
  const place = placeOf(o.programs);
  await stopCluster(place);
  mkdirSync(place.folder, { recursive: true });
  const kubectl = (args: readonly string[], input?: string) =>
    run(path.join(o.programs, 'kubectl'), [`--kubeconfig=${place.kubeconfig}`, ...args], input);
  const cluster: Cluster = {
    kubectl,
    helm: (args) => run(path.join(o.programs, 'helm'), [`--kubeconfig=${place.kubeconfig}`, ...args]),
    forwardPort: (args) =>
      forwardPort(path.join(o.programs, 'kubectl'), [`--kubeconfig=${place.kubeconfig}`, ...args]),
    stop: () => stopCluster(place),
  };
  try {
    await makeCertificates(place);
    await makeNetwork();
    await startControlPlane(place);
    await startNode(place, o.images);
    const dns = readFileSync(fileURLToPath(new URL('dns.yaml', import.meta.url)), 'utf8');
    await kubectl(['apply', '-f', '-'], dns);
    mkdirSync(path.join(place.folder, 'volume'), { mode: 0o777 });
    await kubectl(['apply', '-f', '-'], JSON.stringify(storage(path.join(place.folder, 'volume'))));
    await waitFor('DNS', () =>
      kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=10s']),
    );
    return cluster;
  } catch (error) {
    if (process.env.RONDO_CLUSTER_KEEP === undefined) await cluster.stop();
    throw error;
  }
}

function forwardPort(kubectl: string, args: readonly string[]): Promise<PortForward> {
  const child = spawn(kubectl, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  return new Promise((resolve, reject) => {
    const hear = (text: string) => {
      printed += text;
      const [, address] = /^Forwarding from (127\.0\.0\.1:\d+)/m.exec(printed) ?? [];
      if (address !== undefined) resolve({ address, close: () => void child.kill() });
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', hear);
    child.on('close', () => reject(new Error(`kubectl ${args.join(' ')}: ${printed}`)));
  });
}

function storage(folder: string): object {
  const local = {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: {
      name: 'local',
      annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
    },
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'WaitForFirstConsumer',
  };
  const onNode = { key: 'kubernetes.io/hostname', operator: 'In', values: [nodeName] };
  const volume = {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'volume' },
    spec: {
      capacity: { storage: '20Gi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'local',
      local: { path: folder },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [onNode] }] } },
    },
  };
  return { apiVersion: 'v1', kind: 'List', items: [local, volume] };
}
