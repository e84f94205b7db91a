import { webcrypto } from 'node:crypto';
import { RondoError } from '../../runtime/errors.js';
import { type DecodePool, decoderVersion, openImage, retryAlone } from '../../runtime/images.js';

/** How images are changed on their way into shards. */
export interface Encoding {
  /** Pixels of the short side of images that have more; null leaves sizes alone. */
  readonly resize: number | null;
  /** Of JPEGs that are written, 1 to 100; null: images that keep their size keep their bytes too. */
  readonly quality: number | null;
}

/** What JPEGs are written at unless it is said. */
export const defaultQuality = 90;

/** What turns pixels into JPEGs: another version may round differently. */
export const encoderVersion = decoderVersion;

export interface PackedImage {
  readonly bytes: Buffer;
  /** Upright. */
  readonly width: number;
  readonly height: number;
  /** SHA-256 of `bytes`. */
  readonly digest: Buffer;
  /** By what the bytes are, whatever the file was called: readers choose their decoder by it. */
  readonly ending: string;
}

interface SourceImage {
  readonly path: string;
  readonly width: number;
  readonly height: number;
  /** SHA-256 of `bytes`, in hex. */
  readonly digest: string;
}

/**
 * One image as it is packed: its file's bytes, or a JPEG of it, upright, in sRGB, on white where it was
 * transparent. Throws data-loss for an image that cannot be decoded.
 */
export async function encodeImage(
  bytes: Buffer,
  image: SourceImage,
  encoding: Encoding,
  pool: DecodePool,
): Promise<PackedImage> {
  const { path, width, height } = image;
  const size = chooseSize(image, encoding);
  if (size === null) {
    return { bytes, width, height, digest: Buffer.from(image.digest, 'hex'), ending: endingOf(bytes) };
  }
  const quality = encoding.quality ?? defaultQuality;
  try {
    const encoded = await retryAlone(pool, (inTurn) =>
      inTurn(width * height, () =>
        openImage(bytes)
          .resize(size.width, size.height, { fit: 'fill' })
          .flatten({ background: 'white' })
          .toColourspace('srgb')
          .jpeg({ quality })
          .toBuffer(),
      ),
    );
    return {
      bytes: encoded,
      ...size,
      digest: await digestOf(encoded),
      ending: 'jpg',
    };
  } catch (error) {
    throw new RondoError('data-loss', `cannot encode image ${path}: ${(error as Error).message}`, {
      remedy: 'remove the file or make a sound one of it',
      cause: error,
    });
  }
}

/** On libuv's pool: the main thread has the shards' digests to compute. */
async function digestOf(bytes: Buffer): Promise<Buffer> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes));
}

/** The size that an image is encoded at; null when its file is taken as it is. */
function chooseSize(
  { width, height }: SourceImage,
  { resize, quality }: Encoding,
): { width: number; height: number } | null {
  const short = Math.min(width, height);
  if (resize === null || short <= resize)
    return quality === null || resize !== null ? null : { width, height };
  const scale = (side: number) => Math.round((side * resize) / short);
  return { width: scale(width), height: scale(height) };
}

/** The decoders take a file for what these bytes say. */
const endings: readonly (readonly [ending: string, start: RegExp])[] = [
  ['jpg', /^\xff\xd8/],
  ['png', /^\x89PNG/],
  ['webp', /^RIFF.{4}WEBP/s],
  ['gif', /^GIF8/],
  ['tif', /^(II|MM)/],
];

function endingOf(bytes: Buffer): string {
  const start = bytes.toString('latin1', 0, 16);
  return endings.find(([, pattern]) => pattern.test(start))?.[0] ?? 'avif';
}
