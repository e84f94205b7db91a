import { createHash } from 'node:crypto';
import path from 'node:path';
import {
  createDecodePool,
  type DecodePool,
  decodeSound,
  type ImageSize,
  openImage,
  readSize,
  retryAlone,
} from '../../runtime/images.js';
import { threadPoolSize } from '../../runtime/limiter.js';
import { briefWaitsMs, type ReadFile, readPatiently } from '../../runtime/read-file.js';
import { describeUnreadable, type ImageFile } from './image-files.js';
import { type Finding, openVerificationRecord } from './verification-record.js';

/** Side that files are decoded to: JPEGs shrink eightfold while they are decoded, yet every byte is read. */
const probeSide = 16;
/** What sharp says when libvips failed without a message. */
const lostMessage = 'Unknown error';

/** First bytes of what is often found under an image's name. */
const contents: readonly (readonly [name: string, test: RegExp])[] = [
  ['BMP', /^BM/],
  ['HEIC', /^.{4}ftyp(hei|hev|mif1|msf1)/s],
  ['video', /^(.{4}ftyp(?!avif|avis)|.E\xdf\xa3|RIFF.{4}AVI )/s],
  ['JPEG XL', /^(\xff\n|.{4}JXL )/s],
  ['JPEG 2000', /^(\xff\x4f\xff\x51|.{4}jP {2})/s],
  ['PSD', /^8BPS/],
  ['SVG or other XML', /^\s*<(svg|\?xml)/],
  ['HTML', /^\s*<(!doctype|html)/i],
  ['PDF', /^%PDF/],
  ['zip archive', /^PK[^ -~]{2}/],
  ['Git LFS pointer', /^version https:\/\/git-lfs/],
];

/** What one look at a file says of it. */
export interface Verdict {
  readonly finding: Finding;
  /** The file's bytes decide it: another look at the same bytes would say the same. */
  readonly lasting: boolean;
}

/**
 * Decodes every file once, as many at a time as the thread pool has threads, and tells its size and digest,
 * or why it cannot be used. What decoding found is kept in `cacheDir`, also what was found before the signal
 * stopped the pass; files that did not change since are not read again. That a file could not be read is not
 * kept: the next time it may be.
 */
export async function verifyImages(
  root: string,
  files: readonly ImageFile[],
  o: {
    cacheDir: string;
    signal: AbortSignal;
    onProgress(done: number, total: number): void;
    /** The file system; tests bring one with faults. */
    readonly read?: ReadFile;
  },
): Promise<ReadonlyMap<ImageFile, Finding>> {
  const record = openVerificationRecord(root, o.cacheDir);
  const findings = await record.read(files);
  const lasting = new Map(findings);
  const unknown = files.filter((file) => !findings.has(file));
  o.onProgress(findings.size, files.length);
  if (unknown.length === 0) return findings;
  const queue = unknown.values();
  const pool = createDecodePool();
  const verifyRest = async (): Promise<void> => {
    for (const file of queue) {
      if (o.signal.aborted) return;
      const verdict = await pool.bytes(file.size, () => verifyImage(path.join(root, file.path), o, pool));
      findings.set(file, verdict.finding);
      if (verdict.lasting) lasting.set(file, verdict.finding);
      o.onProgress(findings.size, files.length);
    }
  };
  await Promise.all(Array.from({ length: threadPoolSize() }, verifyRest));
  // The record only saves time, so a cache folder that cannot be written to is no reason to stop.
  await record.save(lasting).catch(() => {});
  o.signal.throwIfAborted();
  return findings;
}

async function verifyImage(
  file: string,
  { read, signal }: { readonly read?: ReadFile; readonly signal: AbortSignal },
  pool: DecodePool,
): Promise<Verdict> {
  let bytes: Buffer;
  try {
    bytes = await readPatiently(file, { waitsMs: briefWaitsMs, signal, read });
  } catch (error) {
    return { ...unusable(describeUnreadable(error)), lasting: false };
  }
  return verifyBytes(bytes, pool);
}

/** What decoding a whole image file says of it. */
export async function verifyBytes(bytes: Buffer, pool: DecodePool): Promise<Verdict> {
  if (bytes.length === 0) return unusable('is empty');
  try {
    const { width, height } = await decodeSize(bytes, pool);
    const digest = createHash('sha256').update(bytes).digest('hex');
    return { finding: { usable: true, width, height, digest }, lasting: true };
  } catch (error) {
    const { message } = error as Error;
    const saysNothing = message === lostMessage || /memory/i.test(message);
    return { ...unusable(describeFault(bytes, message)), lasting: !saysNothing };
  }
}

/** An image's size, once all of it has been decoded. Rejects with the decoder's error. */
function decodeSize(bytes: Buffer, pool: DecodePool): Promise<ImageSize> {
  return retryAlone(pool, async (inTurn) => {
    const size = await inTurn(1, () => readSize(bytes));
    await inTurn(size.width * size.height, () => decodeSound(bytes, (strict) => decodeWhole(bytes, strict)));
    return size;
  });
}

async function decodeWhole(bytes: Buffer, strict: boolean): Promise<void> {
  const image = openImage(bytes, { strict });
  await image.resize(probeSide, probeSide, { fit: 'fill', kernel: 'linear' }).raw().toBuffer();
}

function unusable(reason: string): Verdict {
  return { finding: { usable: false, reason }, lasting: true };
}

function describeFault(bytes: Buffer, message: string): string {
  const start = bytes.toString('latin1', 0, 64);
  const content = contents.find(([, test]) => test.test(start));
  if (content !== undefined) return `holds ${content[0]} data, which is not read`;
  const [line] = message.split('\n');
  if (message.startsWith('is too large')) return message;
  return /premature end|read error|unable to parse|is missing|frame data|unable to read|corrupt|bad seek/i.test(
    message,
  )
    ? `is truncated or damaged: ${line}`
    : `cannot be decoded: ${line}`;
}
