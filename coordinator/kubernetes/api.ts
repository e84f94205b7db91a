import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { withDeadline } from '../../runtime/deadline.js';
import { type ErrorCode, RondoError } from '../../runtime/errors.js';
import { parseJson } from '../../runtime/parse-json.js';

/** Where a pod finds what it speaks to the API server with. */
const accountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';
const answerMs = 10_000;

const statusSchema = z.object({ message: z.string() });

/**
 * The few calls that a run makes of Kubernetes' API. The official client, @kubernetes/client-node 2, does not load on
 * Node 20, and brings 83 MB in 65 packages.
 */
export interface KubernetesApi {
  readonly namespace: string;
  get<T>(path: string, schema: z.ZodType<T>): Promise<T>;
  create<T>(path: string, body: object, schema: z.ZodType<T>): Promise<T>;
  /** JSON merge patch (RFC 7396). */
  patch(path: string, body: object): Promise<void>;
  /** Calls `take` with each object that is changed, until the server ends it or `signal` aborts. */
  watch<T>(
    path: string,
    o: { readonly schema: z.ZodType<T>; take(object: T): void; readonly signal: AbortSignal },
  ): Promise<void>;
}

const codes: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid-argument',
  401: 'permission-denied',
  403: 'permission-denied',
  404: 'not-found',
  422: 'invalid-argument',
};

/**
 * As the service account of this pod. Its token is read for each call, because it is renewed.
 *
 * @throws RondoError failed-precondition outside a pod.
 */
export function openKubernetesApi(environment: NodeJS.ProcessEnv): KubernetesApi {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port, POD_NAMESPACE } = environment;
  const folder = environment.RONDO_SERVICE_ACCOUNT ?? accountFolder;
  const read = (name: string) => readFileSync(join(folder, name), 'utf8').trim();
  if (host === undefined || port === undefined) {
    throw new RondoError('failed-precondition', '--kubernetes is given outside a pod', {
      remedy: 'leave it out, or install the chart in deploy/chart',
    });
  }
  const ca = read('ca.crt');
  const namespace = POD_NAMESPACE ?? read('namespace');

  const send = (
    method: string,
    path: string,
    o: { body?: object; type?: string; signal?: AbortSignal } = {},
  ): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const text = o.body === undefined ? undefined : JSON.stringify(o.body);
      const call = request(
        {
          ...{ host, port, path, method, ca },
          ...(o.signal === undefined ? {} : { signal: o.signal }),
          headers: {
            authorization: `Bearer ${read('token')}`,
            accept: 'application/json',
            ...(text === undefined
              ? {}
              : { 'content-type': o.type ?? 'application/json', 'content-length': Buffer.byteLength(text) }),
          },
        },
        resolve,
      );
      call.on('error', (cause) =>
        reject(new RondoError('unavailable', `${method} ${path}: ${cause.message}`, { cause })),
      );
      call.end(text);
    });
  const exchange = (
    method: string,
    path: string,
    o: { body?: object; type?: string } = {},
  ): Promise<string> =>
    withDeadline(
      (async () => {
        const response = await send(method, path, o);
        const text = await readText(response);
        requireGood(response, `${method} ${path}`, text);
        return text;
      })(),
      { timeoutMs: answerMs, what: `${method} ${path}` },
    );

  return {
    namespace,
    get: async (path, schema) => parse(schema, await exchange('GET', path), `GET ${path}`),
    create: async (path, body, schema) =>
      parse(schema, await exchange('POST', path, { body }), `POST ${path}`),
    async patch(path, body) {
      await exchange('PATCH', path, { body, type: 'application/merge-patch+json' });
    },
    async watch(path, { schema, take, signal }) {
      const response = await send('GET', path, { signal });
      if (response.statusCode !== 200) requireGood(response, `GET ${path}`, await readText(response));
      for await (const line of createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })) {
        if (line !== '') take(parse(schema, line, `a line of GET ${path}`));
      }
    },
  };
}

function parse<T>(schema: z.ZodType<T>, text: string, name: string): T {
  return parseJson(schema, text, {
    name,
    code: 'internal',
    remedy: 'this version of Kubernetes is not known',
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function requireGood({ statusCode = 0 }: IncomingMessage, call: string, text: string): void {
  if (statusCode >= 200 && statusCode < 300) return;
  const code = codes[statusCode] ?? 'unavailable';
  const why = messageOf(text) ?? `status ${statusCode}`;
  throw new RondoError(code, `Kubernetes refuses ${call}: ${why}`, {
    ...(code === 'permission-denied' && {
      remedy: 'give the coordinator’s service account the right: see deploy/chart',
    }),
  });
}

/** Of a Status object; null of anything else. */
function messageOf(text: string): string | null {
  try {
    return parse(statusSchema, text, 'its answer').message;
  } catch {
    return null;
  }
}
