import type { Sharp } from 'sharp';
import { type ImageSize, openImage, readSize } from '../../runtime/images.js';
import { threadPoolSize } from '../../runtime/limiter.js';

/**
 * How many images to read and decode at a time. Between two of its tasks on libuv's pool an image waits for the main thread:
 * several for each of the pool's threads keep it busy.
 */
export function imagesInHand(): number {
  return 8 * threadPoolSize();
}

/**
 * An image file's pixels squeezed to presize × presize, whatever its shape: [presize, presize, 3], upright, on white where
 * it was transparent, any colour space and depth as 8-bit sRGB. JPEGs are shrunk while they are decoded. Rejects with what
 * sharp throws.
 */
export async function decodePixels(bytes: Uint8Array, presize: number): Promise<Uint8Array> {
  return squeeze(openImage(bytes), presize);
}

export interface DecodedImage extends ImageSize {
  /** As `decodePixels` gives them. */
  readonly pixels: Uint8Array;
}

/** `decodePixels` for a file whose size no index tells. */
export async function decodeImage(bytes: Uint8Array, presize: number): Promise<DecodedImage> {
  const image = openImage(bytes);
  const size = await readSize(image);
  return { pixels: await squeeze(image, presize), ...size };
}

async function squeeze(image: Sharp, presize: number): Promise<Uint8Array> {
  const { data, info } = await image
    // Linear is a triangle filter as wide as the shrink factor, as in PIL and torchvision.
    .resize(presize, presize, { fit: 'fill', kernel: 'linear' })
    .flatten({ background: 'white' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new Error(`decoded to ${info.channels} channels instead of 3`);
  return data;
}
