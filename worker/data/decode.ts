import { openImage } from '../../runtime/images.js';
import { threadPoolSize } from '../../runtime/limiter.js';

/**
 * How many images to read and decode at a time. Between two of its tasks on libuv's pool an image waits for the main thread:
 * several for each of the pool's threads keep it busy.
 */
export function imagesInHand(): number {
  return 8 * threadPoolSize();
}

export interface DecodedImage {
  /** [presize, presize, 3], sRGB, 8 bit. */
  readonly pixels: Uint8Array;
  /** Width / height of the original, upright. */
  readonly aspect: number;
}

/**
 * An image file squeezed to presize × presize, whatever its shape: upright, on white where it was transparent, any
 * colour space and depth as 8-bit sRGB. JPEGs are shrunk while they are decoded. Throws what sharp throws.
 */
export async function decodeImage(bytes: Uint8Array, presize: number): Promise<DecodedImage> {
  const image = openImage(bytes);
  const { autoOrient } = await image.metadata();
  const { data, info } = await image
    // Linear is a triangle filter as wide as the shrink factor, as in PIL and torchvision.
    .resize(presize, presize, { fit: 'fill', kernel: 'linear' })
    .flatten({ background: 'white' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new Error(`decoded to ${info.channels} channels instead of 3`);
  return { pixels: data, aspect: autoOrient.width / autoOrient.height };
}
