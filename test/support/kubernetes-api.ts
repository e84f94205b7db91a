import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createAuthority, issuePair } from '../../runtime/certificates.js';

/** A Job as far as Rondo reads it. */
interface Job {
  parallelism: number;
  completions: number;
  suspend: boolean;
  annotations: Record<string, string>;
}

/** A StatefulSet likewise. */
interface StatefulSet {
  replicas: number;
  annotations: Record<string, string>;
}

/** What a request was: refused ones too. */
interface Asked {
  readonly method: string;
  readonly path: string;
  readonly status: number;
}

/** An API server that knows the calls of a run, with the rights that the chart gives, and nothing else. */
export interface FakeKubernetes {
  /** What a pod finds in its environment. */
  readonly environment: Record<string, string>;
  readonly asked: readonly Asked[];
  /** Both of the name `workers`. */
  readonly job: Job;
  readonly statefulSet: StatefulSet;
  readonly events: { reason: string; message: string; type: string }[];
  readonly configMap: Record<string, string>;
  /** Tokens by their text: what TokenReview says of them. */
  readonly tokens: Map<string, { pod: string; uid: string; namespace?: string; audience?: string }>;
  /** Pods by their name. */
  readonly pods: Map<string, { uid: string; owner: { kind: string; name: string } }>;
  /** As `kubectl patch` does. */
  change(changes: Partial<Job>): void;
  /** As `kubectl scale statefulset` does. */
  scale(replicas: number): void;
  close(): void;
}

const namespace = 'training';
const accountToken = 'account-token';
const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
const statefulSets = `/apis/apps/v1/namespaces/${namespace}/statefulsets`;

export async function startKubernetes(): Promise<FakeKubernetes> {
  const folder = mkdtempSync(path.join(tmpdir(), 'rondo-account-'));
  const authority = await createAuthority('kubernetes');
  const { certificate, key } = await issuePair(authority, {
    ...{ name: 'localhost', subject: 'API server', lifetimeMs: 3_600_000 },
  });
  for (const [name, text] of Object.entries({
    token: accountToken,
    'ca.crt': authority.certificate,
    namespace,
  }))
    writeFileSync(path.join(folder, name), `${text}\n`);
  const job: Job = { parallelism: 2, completions: 2, suspend: false, annotations: {} };
  const asked: Asked[] = [];
  const events: FakeKubernetes['events'] = [];
  const configMap: Record<string, string> = {};
  const tokens: FakeKubernetes['tokens'] = new Map();
  const pods: FakeKubernetes['pods'] = new Map();
  const statefulSet: StatefulSet = { replicas: 2, annotations: {} };
  const watches = new Map<ServerResponse, string>();
  let version = 1;
  const show = (collection: string) => {
    const { annotations, ...spec } = collection === jobs ? job : statefulSet;
    const uid = collection === jobs ? 'job-uid' : 'statefulset-uid';
    return { metadata: { name: 'workers', uid, resourceVersion: String(version), annotations }, spec };
  };
  const changed = () => {
    version += 1;
    for (const [watch, collection] of watches)
      watch.write(`${JSON.stringify({ type: 'MODIFIED', object: show(collection) })}\n`);
  };

  const answer = (call: string, url: URL, body: Record<string, never>): [number, object] => {
    const spec = body.spec as unknown as Record<string, unknown> | undefined;
    switch (call) {
      case `GET ${jobs}/workers`:
        return [200, show(jobs)];
      case `GET ${statefulSets}/workers`:
        return [200, show(statefulSets)];
      case `PATCH ${statefulSets}/workers/scale`:
        statefulSet.replicas = (spec as { replicas: number }).replicas;
        changed();
        return [200, {}];
      case `PATCH ${statefulSets}/workers/status`:
        // What `spec` says is left alone.
        Object.assign(
          statefulSet.annotations,
          (body.metadata as { annotations?: object } | undefined)?.annotations,
        );
        changed();
        return [200, show(statefulSets)];
      case `PATCH ${jobs}/workers`: {
        if (spec !== undefined) {
          const { parallelism, completions } = spec as { parallelism?: number; completions?: number };
          if (parallelism === undefined || parallelism !== completions)
            return [422, { message: 'completions: can only be modified in tandem with spec.parallelism' }];
          Object.assign(job, { parallelism, completions });
        }
        Object.assign(job.annotations, (body.metadata as { annotations?: object } | undefined)?.annotations);
        changed();
        return [200, show(jobs)];
      }
      case `PATCH /api/v1/namespaces/${namespace}/configmaps/authority`:
        Object.assign(configMap, body.data);
        return [200, {}];
      case `POST /api/v1/namespaces/${namespace}/events`: {
        const { involvedObject, reason, message, type, metadata } = body as Record<string, unknown>;
        const about = involvedObject as Record<string, string>;
        const isWhole =
          ['Normal', 'Warning'].includes(String(type)) &&
          about.uid === (about.kind === 'Job' ? 'job-uid' : 'statefulset-uid') &&
          about.apiVersion === (about.kind === 'Job' ? 'batch/v1' : 'apps/v1') &&
          about.namespace === namespace &&
          (metadata as Record<string, string>).namespace === namespace;
        if (!isWhole) return [422, { message: 'Event is invalid' }];
        events.push({ reason, message, type } as FakeKubernetes['events'][number]);
        return [201, body];
      }
      case 'POST /apis/authentication.k8s.io/v1/tokenreviews': {
        const { token, audiences } = spec as { token: string; audiences: string[] };
        const known = tokens.get(token);
        if (body.kind !== 'TokenReview') return [400, { message: 'no TokenReview' }];
        if (known === undefined || !audiences.includes(known.audience ?? 'rondo'))
          return [201, { status: { error: 'invalid bearer token' } }];
        const extra = {
          'authentication.kubernetes.io/pod-name': [known.pod],
          'authentication.kubernetes.io/pod-uid': [known.uid],
        };
        const username = `system:serviceaccount:${known.namespace ?? namespace}:worker`;
        return [201, { status: { authenticated: true, audiences, user: { username, extra } } }];
      }
      default: {
        const name = new RegExp(`^GET /api/v1/namespaces/${namespace}/pods/([^/]+)$`).exec(call)?.[1];
        const pod = name === undefined ? undefined : pods.get(name);
        if (name !== undefined && pod === undefined) return [404, { message: `pods "${name}" not found` }];
        if (pod === undefined) return [403, { message: `"${call}" is forbidden${url.search}` }];
        return [200, { metadata: { uid: pod.uid, ownerReferences: [pod.owner] } }];
      }
    }
  };
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url!, 'https://localhost');
    const { method = '' } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const say = (status: number, body: object) => {
      asked.push({ method, path: url.pathname, status });
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (request.headers.authorization !== `Bearer ${accountToken}`)
      return say(401, { message: 'Unauthorized' });
    if (text !== '' && request.headers['content-type'] !== type)
      return say(415, { message: 'unsupported media type' });
    const isCollection = [jobs, statefulSets].includes(url.pathname);
    if (method === 'GET' && isCollection && url.searchParams.get('watch') === 'true') {
      // The right is for this one name.
      if (url.searchParams.get('fieldSelector') !== 'metadata.name=workers')
        return say(403, { message: 'forbidden' });
      asked.push({ method, path: url.pathname, status: 200 });
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
      if (url.searchParams.get('resourceVersion') !== String(version))
        response.write(`${JSON.stringify({ type: 'MODIFIED', object: show(url.pathname) })}\n`);
      watches.set(response, url.pathname);
      response.on('close', () => watches.delete(response));
      return;
    }
    say(...answer(`${method} ${url.pathname}`, url, text === '' ? {} : JSON.parse(text)));
  };
  const server = createServer(
    { cert: certificate, key },
    (request, response) => void serve(request, response),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    ...{ asked, job, statefulSet, events, configMap, tokens, pods },
    environment: {
      KUBERNETES_SERVICE_HOST: 'localhost',
      KUBERNETES_SERVICE_PORT: String((server.address() as AddressInfo).port),
      RONDO_SERVICE_ACCOUNT: folder,
      ...{ POD_NAMESPACE: namespace, POD_NAME: 'coordinator-0' },
      ...{ RONDO_KUBERNETES_WORKERS: 'Job/workers', RONDO_KUBERNETES_CA: 'authority' },
    },
    change(changes) {
      Object.assign(job, changes);
      changed();
    },
    scale(replicas) {
      statefulSet.replicas = replicas;
      changed();
    },
    close() {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
