import { openImage } from '../../runtime/images.js';

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
