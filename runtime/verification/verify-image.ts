import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type DecodePool, decodeSound, type ImageSize, openImage, readSize, retryAlone } from '../images.js';
import { briefWaitsMs, describeUnreadable, type ReadFile, readPatiently } from '../read-file.js';

export const findingSchema = z.discriminatedUnion('usable', [
  z.object({
    usable: z.literal(true),
    width: z.int().positive(),
    height: z.int().positive(),
    digest: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  z.object({ usable: z.literal(false), reason: z.string() }),
]);

/**
 * What reading and decoding a file showed: the image's pixels, upright, and the SHA-256 of its bytes; or why
 * it cannot be used.
 */
export type Finding = Readonly<z.infer<typeof findingSchema>>;

/** What one look at a file says of it. */
export interface Verdict {
  readonly finding: Finding;
  /** The file's bytes decide it: another look at the same bytes would say the same. */
  readonly lasting: boolean;
}

/** An image to look at: a file of this machine, or bytes that came from elsewhere. */
export type Unverified = { readonly file: string; readonly size: number } | { readonly bytes: Uint8Array };

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

/** Reads an image whole, and decodes all of it, with the room that it asks for in `pool`. Rejects only when the signal comes. */
export async function verifyImage(
  image: Unverified,
  pool: DecodePool,
  { read, signal }: { readonly read?: ReadFile | undefined; readonly signal?: AbortSignal } = {},
): Promise<Verdict> {
  if ('bytes' in image) {
    const { buffer, byteOffset, byteLength } = image.bytes;
    const bytes = Buffer.from(buffer, byteOffset, byteLength);
    return pool.bytes(bytes.length, () => verifyBytes(bytes, pool));
  }
  return pool.bytes(image.size, async () => {
    const bytes = await readUnverified(image.file, { read, signal });
    return Buffer.isBuffer(bytes) ? verifyBytes(bytes, pool) : bytes;
  });
}

/** A file's bytes, or what is said of one that cannot be read: the next time it may be. Rejects only when the signal comes. */
export async function readUnverified(
  file: string,
  { read, signal }: { readonly read?: ReadFile | undefined; readonly signal?: AbortSignal | undefined },
): Promise<Buffer | Verdict> {
  try {
    return await readPatiently(file, { waitsMs: briefWaitsMs, signal, read });
  } catch (error) {
    signal?.throwIfAborted();
    return { ...unusable(describeUnreadable(error)), lasting: false };
  }
}

/** What decoding a whole image file says of it. */
async function verifyBytes(bytes: Buffer, pool: DecodePool): Promise<Verdict> {
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
