import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';

/** What is known about a file before it is there. Digests are lower-case hex. */
export interface ExpectedFile {
  readonly bytes?: number;
  readonly sha256?: string;
  /** The first digits of the SHA-256, as in the names of PyTorch's files. */
  readonly sha256Prefix?: string;
  readonly md5?: string;
}

/**
 * Null when the file at `path` is the expected one; otherwise what was expected and what was found, in words.
 */
export async function findMismatch(
  path: string,
  expected: ExpectedFile,
  signal: AbortSignal,
): Promise<string | null> {
  const { size } = await stat(path);
  if (expected.bytes !== undefined && size !== expected.bytes) {
    return `expected ${expected.bytes} bytes, found ${size}`;
  }
  const { sha256, sha256Prefix, md5 } = expected;
  const wanted = [
    ...(sha256 === undefined ? [] : [{ algorithm: 'sha256', name: 'SHA-256', start: sha256 }]),
    ...(sha256Prefix === undefined ? [] : [{ algorithm: 'sha256', name: 'SHA-256', start: sha256Prefix }]),
    ...(md5 === undefined ? [] : [{ algorithm: 'md5', name: 'MD5', start: md5 }]),
  ];
  const found = await digest(path, new Set(wanted.map(({ algorithm }) => algorithm)), signal);
  for (const { algorithm, name, start } of wanted) {
    const hex = found.get(algorithm)!;
    if (hex.startsWith(start)) continue;
    const begins = start.length < hex.length ? `a ${name} that begins with` : name;
    return `expected ${begins} ${start}, found ${hex}`;
  }
  return null;
}

async function digest(
  path: string,
  algorithms: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const hashes = [...algorithms].map((algorithm) => ({ algorithm, hash: createHash(algorithm) }));
  if (hashes.length > 0) {
    for await (const chunk of createReadStream(path, { signal, highWaterMark: 1 << 20 })) {
      for (const { hash } of hashes) hash.update(chunk as Buffer);
    }
  }
  return new Map(hashes.map(({ algorithm, hash }) => [algorithm, hash.digest('hex')]));
}
