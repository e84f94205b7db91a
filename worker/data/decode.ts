import type { Sharp } from 'sharp';
import { type StoredShape, storedShape } from '../../plan/stored-image.js';
import { type DecodePool, type ImageSize, openImage, readSize } from '../../runtime/images.js';
import { threadPoolSize } from '../../runtime/limiter.js';

/**
 * How many images to read and decode at a time. Between two of its tasks on libuv's pool an image waits for
 * the main thread: several for each of the pool's threads keep it busy.
 */
export function imagesInHand(): number {
  return 8 * threadPoolSize();
}

/**
 * An image file's pixels as plan/stored-image.ts has them, [rows, presize, 3], on white where it was
 * transparent, any colour space and depth as 8-bit sRGB. `size` is the original's, upright. JPEGs are shrunk
 * while they are decoded. Rejects with what sharp throws.
 */
export async function decodePixels(bytes: Uint8Array, size: ImageSize, presize: number): Promise<Uint8Array> {
  return resize(openImage(bytes), storedShape(size.width / size.height, presize));
}

export interface DecodedImage extends ImageSize {
  /** As `decodePixels` gives them. */
  readonly pixels: Uint8Array;
}

/** `decodePixels` for a file whose size no index tells. */
export async function decodeImage(
  bytes: Uint8Array,
  presize: number,
  pool: DecodePool,
): Promise<DecodedImage> {
  const size = await readSize(bytes);
  const pixels = await pool.pixels(size.width * size.height, () => decodePixels(bytes, size, presize));
  return { pixels, ...size };
}

async function resize(image: Sharp, { rows, columns, turned }: StoredShape): Promise<Uint8Array> {
  const [width, height] = turned ? [rows, columns] : [columns, rows];
  // Linear is a triangle filter as wide as the shrink factor, as in PIL and torchvision.
  const resized = image.resize(width, height, { fit: 'fill', kernel: 'linear' });
  const { data, info } = await (turned ? resized.rotate(90).flip() : resized)
    .flatten({ background: 'white' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.width !== columns || info.height !== rows) throw new Error('decoded to another shape');
  if (info.channels !== 3) throw new Error(`decoded to ${info.channels} channels instead of 3`);
  return data;
}
