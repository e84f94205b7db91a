import sharp from 'sharp';

/** At which librsvg draws one pixel per pixel. */
const naturalDensity = 72;

/** An SVG drawing as PNG, `pixelRatio` pixels per pixel of the drawing. */
export async function renderPng(svg: string, pixelRatio = 2): Promise<Buffer> {
  return sharp(Buffer.from(svg), { density: naturalDensity * pixelRatio, limitInputPixels: false })
    .png({ compressionLevel: 9 })
    .toBuffer();
}
