import sharp from 'sharp';
import { drawText, renderPng, style, svgDocument } from '../report/charts/svg.js';

export interface ImageGrid {
  readonly title: string;
  /** Bytes [n, size, size, 3]. */
  readonly pixels: Uint8Array;
  readonly size: number;
  /** One for each image. */
  readonly labels: readonly string[];
}

/** Small images are enlarged, each pixel to a square, until they are at least this wide. */
const minSide = 150;
const gap = 12;
const captionHeight = 26;
const titleHeight = 48;
/** Pixels per letter, about. */
const letterWidth = 7.2;

/** The images in rows, as square as can be, each with its label below it, as PNG. */
export async function drawImageGrid({ title, pixels, size, labels }: ImageGrid): Promise<Buffer> {
  const columns = Math.ceil(Math.sqrt(labels.length));
  const rows = Math.ceil(labels.length / columns);
  const side = size * Math.max(1, Math.ceil(minSide / size));
  const place = (index: number) => ({
    left: gap + (index % columns) * (side + gap),
    top: titleHeight + Math.floor(index / columns) * (side + captionHeight),
  });
  const width = gap + columns * (side + gap);
  const height = titleHeight + rows * (side + captionHeight) + gap;
  const captions = labels.map((label, index) => {
    const { left, top } = place(index);
    return drawText(left + side / 2, top + side + 17, shorten(label, side), { anchor: 'middle' });
  });
  const paper = svgDocument(
    { width, height, title },
    drawText(gap, 30, shorten(title, width - 2 * gap), { size: style.titleSize, weight: 600 }),
    captions,
  );
  const bytes = size * size * 3;
  const tiles = await Promise.all(
    labels.map(async (_, index) => {
      const tile = pixels.subarray(index * bytes, (index + 1) * bytes);
      const image = sharp(tile, { raw: { width: size, height: size, channels: 3 } });
      return {
        input: await image.resize(side, side, { kernel: 'nearest' }).png().toBuffer(),
        ...place(index),
      };
    }),
  );
  return sharp(await renderPng(paper, 1))
    .composite(tiles)
    .png()
    .toBuffer();
}

function shorten(text: string, width: number): string {
  const letters = Math.max(3, Math.floor(width / letterWidth));
  return text.length > letters ? `${text.slice(0, letters - 1)}…` : text;
}
