import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** The cluster has a network namespace of its own, joined to the machine by one pair of interfaces. */
export const network = {
  namespace: 'rondo-kube',
  hostInterface: 'rondo-kube0',
  nodeInterface: 'rondo-kube1',
  hostAddress: '10.99.0.2',
  nodeAddress: '10.99.0.1',
  pods: '10.244.0.0/24',
  services: '10.96.0.0/16',
  apiService: '10.96.0.1',
  dns: '10.96.0.10',
} as const;

export const nodeName = 'node1';

/** Where a cluster keeps everything; short, for sockets' names may have 108 characters. */
export interface Place {
  readonly folder: string;
  /** etcd, kube-apiserver, kubectl … by their own names. */
  readonly programs: string;
  readonly kubeconfig: string;
  readonly containerdSocket: string;
}

export function placeOf(programs: string): Place {
  const folder = path.join(tmpdir(), 'rondo-cluster');
  mkdirSync(folder, { recursive: true });
  return {
    folder,
    programs,
    kubeconfig: path.join(folder, 'admin.conf'),
    containerdSocket: path.join(folder, 'containerd.sock'),
  };
}
