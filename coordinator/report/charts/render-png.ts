import sharp from 'sharp';
import { withSvg } from '../../../runtime/images.js';

/** At which librsvg draws one pixel per pixel. */
const naturalDensity = 72;

/** An SVG drawing as PNG, `pixelRatio` pixels per pixel of the drawing. */
export async function renderPng(svg: string, pixelRatio = 2): Promise<Buffer> {
  const options = { density: naturalDensity * pixelRatio, limitInputPixels: false };
  return withSvg(() => sharp(Buffer.from(svg), options).png({ compressionLevel: 9 }).toBuffer());
}
