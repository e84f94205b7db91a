import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type ImageSize, openImage, readSize } from '../../runtime/images.js';
import { threadPoolSize } from '../../runtime/limiter.js';
import type { ImageFile } from './image-files.js';
import { type Finding, openVerificationRecord } from './verification-record.js';

/** Side that files are decoded to: JPEGs shrink eightfold while they are decoded, yet every byte is read. */
const probeSide = 16;
/** What sharp says when libvips failed without a message. */
const lostMessage = 'Unknown error';
const mostTries = 4;

/** First bytes of formats that are often found under another one's name. */
const formats: readonly (readonly [name: string, test: RegExp])[] = [
  ['GIF', /^GIF8/],
  ['BMP', /^BM/],
  ['TIFF', /^(II\*\0|MM\0\*)/],
  ['HEIF or AVIF', /^.{4}ftyp/s],
  ['SVG or other XML', /^\s*<(svg|\?xml)/],
  ['HTML', /^\s*<(!doctype|html)/i],
  ['PDF', /^%PDF/],
];

/**
 * Decodes every file once, as many at a time as the thread pool has threads, and tells its size and digest, or
 * why it cannot be used. Findings are kept in `cacheDir`, also those made before the signal stopped the pass; files that did not
 * change since are not read again.
 */
export async function verifyImages(
  root: string,
  files: readonly ImageFile[],
  o: { cacheDir: string; signal: AbortSignal; onProgress(done: number, total: number): void },
): Promise<ReadonlyMap<ImageFile, Finding>> {
  const record = await openVerificationRecord(root, o.cacheDir);
  const findings = new Map<ImageFile, Finding>();
  const unknown: ImageFile[] = [];
  for (const file of files) {
    const finding = record.get(file);
    if (finding === undefined) unknown.push(file);
    else findings.set(file, finding);
  }
  o.onProgress(findings.size, files.length);
  if (unknown.length === 0) return findings;
  const queue = unknown.values();
  const verifyRest = async (): Promise<void> => {
    for (const file of queue) {
      if (o.signal.aborted) return;
      findings.set(file, await verifyImage(path.join(root, file.path)));
      o.onProgress(findings.size, files.length);
    }
  };
  await Promise.all(Array.from({ length: threadPoolSize() }, verifyRest));
  // The record only saves time, so a cache folder that cannot be written to is no reason to stop.
  await record.save(findings).catch(() => {});
  o.signal.throwIfAborted();
  return findings;
}

async function verifyImage(file: string): Promise<Finding> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    return unusable(`cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
  if (bytes.length === 0) return unusable('is empty');
  // libvips keeps one message for all threads: another file's failure can take it away, and then a second try has it.
  for (let tries = 1; ; tries += 1) {
    try {
      const { width, height } = await decodeSize(bytes);
      return { usable: true, width, height, digest: createHash('sha256').update(bytes).digest('hex') };
    } catch (error) {
      const { message } = error as Error;
      if (message !== lostMessage || tries === mostTries) return unusable(describeFault(bytes, message));
    }
  }
}

/** An image's size, once all of it has been decoded. Rejects with the decoder's complaint. */
async function decodeSize(bytes: Buffer): Promise<ImageSize> {
  const image = openImage(bytes);
  await image.resize(probeSide, probeSide, { fit: 'fill', kernel: 'linear' }).raw().toBuffer();
  return readSize(image);
}

function unusable(reason: string): Finding {
  return { usable: false, reason };
}

function describeFault(bytes: Buffer, message: string): string {
  const start = bytes.toString('latin1', 0, 64);
  const format = formats.find(([, test]) => test.test(start));
  if (format !== undefined) return `holds ${format[0]} data, not JPEG, PNG or WebP`;
  const [line] = message.split('\n');
  return /premature end|read error|unable to parse/.test(message)
    ? `is truncated or damaged: ${line}`
    : `cannot be decoded: ${line}`;
}
