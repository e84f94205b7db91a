import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** The headers with those that prove who asks (Signature Version 4). */
export async function sign(
  method: string,
  url: URL,
  headers: Record<string, string>,
  region: string,
  credentials: Credentials | null,
): Promise<Record<string, string>> {
  if (credentials === null) return headers;
  const { SignatureV4 } = await import('@smithy/signature-v4');
  const signer = new SignatureV4({
    ...{ service: 's3', region, credentials, sha256: Sha256 },
    uriEscapePath: false,
    applyChecksum: false,
  });
  const { headers: signed } = await signer.sign({
    ...{ method, protocol: url.protocol, hostname: url.hostname, path: url.pathname },
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    query: Object.fromEntries(url.searchParams),
    headers: { ...headers, host: url.host },
  });
  return signed;
}

/** Node's SHA-256, or its HMAC where there is a secret, as the signer asks for it. */
class Sha256 {
  readonly #secret: Uint8Array | undefined;
  #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret === undefined ? undefined : bytesOf(secret);
    this.#hash = this.#open();
  }

  #open(): Hash | Hmac {
    return this.#secret === undefined ? createHash('sha256') : createHmac('sha256', this.#secret);
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    this.#hash = this.#open();
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data);
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
