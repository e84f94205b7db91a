import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type FileFault, type FileServer, type ServedRequest, startFileServer } from './file-server.js';

export interface BucketServer extends FileServer {
  /** By access key; their sessions' tokens. */
  readonly keys: Map<string, { readonly secret: string; readonly token?: string; expired?: boolean }>;
  /** The region that requests must be signed for. */
  region: string;
  /** Whether requests without a signature are answered. */
  isPublic: boolean;
  /** Further faults, of requests that may be answered. */
  further: (request: ServedRequest) => FileFault | undefined;
}

/**
 * What S3 does with reads: path-style addresses, Signature Version 4 checked byte by byte as its documentation
 * has it, and its errors as XML.
 */
export async function startBucketServer(
  bucket: string,
  files: Readonly<Record<string, Buffer>>,
): Promise<BucketServer> {
  const named = Object.entries(files).map(([key, bytes]) => [`/${bucket}/${key}`, bytes] as const);
  const server = await startFileServer(Object.fromEntries(named));
  const bucketServer: BucketServer = Object.assign(server, {
    keys: new Map([['AKIDEXAMPLE', { secret: 'wJalrXUtnFEMI/K7MDENG' }]]) as BucketServer['keys'],
    region: 'eu-central-1',
    isPublic: false,
    further: (): FileFault | undefined => undefined,
  });
  server.fault = (request, incoming) => {
    if (!request.path.startsWith(`/${bucket}/`)) return refuse(404, 'NoSuchBucket');
    return checkSignature(bucketServer, incoming) ?? bucketServer.further(request);
  };
  return bucketServer;
}

function refuse(status: number, code: string, more = ''): FileFault {
  return { status, body: `<?xml version="1.0"?><Error><Code>${code}</Code>${more}</Error>` };
}

function checkSignature(
  { keys, region, isPublic }: BucketServer,
  incoming: IncomingMessage,
): FileFault | undefined {
  const { authorization } = incoming.headers;
  if (authorization === undefined) return isPublic ? undefined : refuse(403, 'AccessDenied');
  const [, key = '', date = '', signedRegion = '', signedNames = '', signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      authorization,
    ) ?? [];
  const known = keys.get(key);
  if (known === undefined) return refuse(403, 'InvalidAccessKeyId');
  if (known.expired) return refuse(400, 'ExpiredToken');
  if (signedRegion !== region) {
    return refuse(400, 'AuthorizationHeaderMalformed', `<Region>${region}</Region>`);
  }
  const names = signedNames.split(';');
  if (!names.includes('host') || (known.token !== undefined && !names.includes('x-amz-security-token'))) {
    return refuse(403, 'SignatureDoesNotMatch');
  }
  if (known.token !== undefined && incoming.headers['x-amz-security-token'] !== known.token) {
    return refuse(403, 'InvalidToken');
  }
  const [path, query = ''] = (incoming.url ?? '').split('?');
  const canonical = [
    ...[incoming.method, path, query],
    ...names.map((name) => `${name}:${String(incoming.headers[name]).trim()}`),
    ...['', signedNames, incoming.headers['x-amz-content-sha256']],
  ].join('\n');
  const scope = `${date}/${region}/s3/aws4_request`;
  const digest = createHash('sha256').update(canonical).digest('hex');
  const text = ['AWS4-HMAC-SHA256', incoming.headers['x-amz-date'], scope, digest].join('\n');
  const hmac = (secret: string | Buffer, data: string) => createHmac('sha256', secret).update(data).digest();
  const signing = [region, 's3', 'aws4_request'].reduce(hmac, hmac(`AWS4${known.secret}`, date));
  if (hmac(signing, text).toString('hex') !== signature) return refuse(403, 'SignatureDoesNotMatch');
  return undefined;
}
