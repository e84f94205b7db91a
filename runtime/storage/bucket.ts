import { createHash } from 'node:crypto';
import { RondoError } from '../errors.js';
import { maskUrls } from '../mask-urls.js';
import { type Credentials, sign } from './bucket-signature.js';
import { uploadFile } from './bucket-upload.js';
import { fetchHead } from './http-requests.js';
import { httpPatience, type RemoteFile } from './http-retry.js';
import type { StoreOptions, WritableStore } from './store.js';
import { openRemote } from './web-folder.js';

/** What SDKs of AWS read from the environment, `~/.aws` and the machine, in their order. */
interface Settings {
  readonly region: string;
  /** Of another provider; null: AWS. */
  readonly endpoint: URL | null;
  /** Null when there are none: a public bucket is read without. */
  credentials(o?: { readonly forceRefresh: boolean }): Promise<Credentials | null>;
}

const emptyDigest = createHash('sha256').digest('hex');

/**
 * The files under s3://BUCKET/PREFIX of AWS or, with AWS_ENDPOINT_URL, of whatever speaks the same protocol.
 * Credentials, region and endpoint come from where AWS's own SDK takes them: its provider chain and its signer
 * are used, and requests go the way of all HTTP, so that ranges and faults are treated once.
 */
export function openBucket(place: string, o: StoreOptions = {}): WritableStore {
  const [, bucket, rest = ''] = /^s3:\/\/([a-z0-9][a-z0-9._-]{1,254})(?:\/(.*))?$/i.exec(place) ?? [];
  if (bucket === undefined) {
    throw new RondoError('invalid-argument', `${maskUrls(place)} names no bucket`, {
      remedy: 'give something like s3://bucket/packed',
    });
  }
  const prefix = rest.replace(/\/*$/, rest === '' ? '' : '/');
  let settings: Promise<Settings> | null = null;
  /** The bucket's own, once a server has told it. */
  let region: string | null = null;
  /** The key that the last request was signed with, and one that is to be renewed, if it can be. */
  let [usedKey, staleKey] = ['', ''];
  const fileOf = (file: string): RemoteFile => {
    const key = prefix + file;
    const name = `s3://${bucket}/${key}`;
    return {
      name,
      async request(method, headers, body, query = {}) {
        settings ??= readSettings();
        const known = await settings;
        const at = region ?? known.region;
        const url = urlOf(bucket, key, at, known.endpoint);
        url.search = new URLSearchParams(query).toString();
        const credentials = await known.credentials({ forceRefresh: usedKey !== '' && usedKey === staleKey });
        usedKey = credentials === null ? '' : `${credentials.accessKeyId} ${credentials.sessionToken ?? ''}`;
        const digest = body === undefined ? emptyDigest : createHash('sha256').update(body).digest('hex');
        const signed = await sign(
          method,
          url,
          { ...headers, 'x-amz-content-sha256': digest },
          at,
          credentials,
        );
        return { method, url, headers: signed, ...(body === undefined ? {} : { body }) };
      },
      explain(status, text, answered) {
        const code = /<Code>([^<]+)<\/Code>/.exec(text)?.[1] ?? '';
        const told =
          answered['x-amz-bucket-region']?.toString() ?? /<Region>([^<]+)<\/Region>/.exec(text)?.[1];
        if ([301, 307, 400].includes(status) && told !== undefined && told !== region) {
          region = told;
          return 'retry';
        }
        if (transientCodes.has(code)) return 'retry';
        if (isExpired(code) && staleKey !== usedKey) {
          staleKey = usedKey;
          return 'retry';
        }
        return explainCode(code, name, bucket);
      },
    };
  };
  return {
    ...openRemote(`s3://${bucket}/${prefix}`.replace(/\/$/, ''), fileOf, o),
    async describe(file, signal) {
      const head = await fetchHead(fileOf(file), {
        patience: o.patience ?? httpPatience,
        signal,
        warn: o.warn,
      });
      const { bytes, version, headers } = head;
      return { bytes, version, sha256: headers['x-amz-meta-sha256']?.toString() ?? null };
    },
    put: (file, source, signal) => uploadFile(fileOf(file), source, { ...o, signal }),
  };
}

/** Refusals that pass, whatever their status: as AWS's own SDK has them. */
const transientCodes: ReadonlySet<string> = new Set([
  ...['BandwidthLimitExceeded', 'InternalError', 'OperationAborted', 'PriorRequestNotComplete'],
  ...['RequestLimitExceeded', 'RequestThrottled', 'RequestThrottledException', 'RequestTimeout'],
  ...['RequestTimeoutException', 'ServiceUnavailable', 'SlowDown', 'Throttling', 'ThrottlingException'],
  ...['ThrottledException', 'TooManyRequestsException', 'TransactionInProgressException'],
]);

function isExpired(code: string): boolean {
  return ['ExpiredToken', 'TokenRefreshRequired', 'RequestExpired'].includes(code);
}

function explainCode(code: string, name: string, bucket: string): RondoError | null {
  if (isExpired(code)) {
    return new RondoError('permission-denied', `the credentials for ${name} have expired`, {
      remedy: 'renew them, with `aws sso login` say, and resume the run',
    });
  }
  switch (code) {
    case 'NoSuchBucket':
      return new RondoError('not-found', `there is no bucket ${bucket} (${name})`, {
        remedy: 'check its name, and AWS_ENDPOINT_URL if it is not one of AWS',
      });
    case 'InvalidAccessKeyId':
    case 'SignatureDoesNotMatch':
    case 'InvalidToken':
      return new RondoError('permission-denied', `the credentials are not valid for ${name} (${code})`, {
        remedy: 'check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile that AWS_PROFILE names',
      });
    case 'RequestTimeTooSkewed':
      return new RondoError('permission-denied', `the server of ${name} finds this machine's clock wrong`, {
        remedy: 'set the clock, and try again',
      });
    default:
      return null;
  }
}

/** A bucket has a host of its own at AWS, unless its name has dots, which certificates do not cover. */
function urlOf(bucket: string, key: string, region: string, endpoint: URL | null): URL {
  const path = key.split('/').map(encodeKey).join('/');
  if (endpoint !== null) {
    const url = new URL(endpoint);
    url.pathname = `${url.pathname.replace(/\/*$/, '')}/${bucket}/${path}`;
    return url;
  }
  const host = `s3.${region}.amazonaws.com`;
  return bucket.includes('.')
    ? new URL(`https://${host}/${bucket}/${path}`)
    : new URL(`https://${bucket}.${host}/${path}`);
}

/** As signatures have it: what encodeURIComponent leaves is escaped too. */
function encodeKey(part: string): string {
  return encodeURIComponent(part).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Loaded when a bucket is read: nothing else needs the SDK. */
async function readSettings(): Promise<Settings> {
  const [{ loadConfig }, { defaultProvider }] = await Promise.all([
    import('@smithy/node-config-provider'),
    import('@aws-sdk/credential-provider-node'),
  ]);
  const region = await loadConfig<string>({
    environmentVariableSelector: (env) => env.AWS_REGION ?? env.AWS_DEFAULT_REGION,
    configFileSelector: (profile) => profile.region,
    default: 'us-east-1',
  })();
  const endpoint = await loadConfig<string>({
    environmentVariableSelector: (env) => env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL,
    configFileSelector: (profile) => profile.endpoint_url,
    default: '',
  })();
  if (endpoint !== '' && !URL.canParse(endpoint)) {
    throw new RondoError('invalid-argument', `AWS_ENDPOINT_URL is "${maskUrls(endpoint)}", which is no URL`, {
      remedy: 'set it to something like https://minio.example:9000, or unset it',
    });
  }
  const provider = defaultProvider();
  return {
    region,
    endpoint: endpoint === '' ? null : new URL(endpoint),
    credentials: (o) =>
      provider(o).catch((error: Error) => {
        if (error.name === 'CredentialsProviderError') return null;
        throw new RondoError('permission-denied', `cannot get credentials for S3: ${error.message}`, {
          remedy: 'renew them, with `aws sso login` say, and try again',
          cause: error,
        });
      }),
  };
}
