import sharp from 'sharp';
import { openImage } from '../../runtime/images.js';
import { formatLoss } from '../terminal/figures.js';
import { drawText, element, renderPng, style, svgDocument } from './charts/svg.js';
import type { EvaluatedImage } from './interpretation.js';

export interface PicturedLoss extends EvaluatedImage {
  /** JPEG; null when the image could not be read. */
  readonly thumbnail: Buffer | null;
}

/** Side of a thumbnail, in pixels: sharp on screens of two pixels per pixel in a grid of six. */
const thumbnailSide = 288;
const pixelRatio = 1.5;
const side = thumbnailSide / pixelRatio;
const columns = 4;
const cell = { width: side + 20, height: side + 58 } as const;
const margin = { left: 20, top: 76 } as const;
const longestName = 22;

/** fastai's title of an image: prediction / actual / loss / probability. */
export function titleOf(
  { actual, predicted, loss, probability }: EvaluatedImage,
  classes: readonly string[],
): string {
  return [classes[predicted], classes[actual], formatLoss(loss), formatLoss(probability)].join(' / ');
}

/** The images of the highest losses with their titles, as PNG. */
export async function drawTopLosses(
  losses: readonly PicturedLoss[],
  classes: readonly string[],
): Promise<Buffer> {
  const rows = Math.ceil(losses.length / columns);
  const width = 2 * margin.left + cell.width * columns - 20;
  const height = margin.top + Math.max(1, rows) * cell.height;
  const places = losses.map((_, index) => ({
    x: margin.left + (index % columns) * cell.width,
    y: margin.top + Math.floor(index / columns) * cell.height,
  }));
  const paper = svgDocument(
    { width, height, title: 'Top losses' },
    drawText(margin.left, 32, 'Top losses', { size: style.titleSize, weight: 600 }),
    drawText(margin.left, 54, 'prediction / actual / loss / probability of the actual class', {
      color: style.quiet,
    }),
    losses.flatMap((loss, index) => drawCaption(loss, classes, places[index]!)),
  );
  const pictures = losses.flatMap(({ thumbnail }, index) => {
    const { x, y } = places[index]!;
    return thumbnail === null
      ? []
      : [{ input: thumbnail, left: Math.round(x * pixelRatio), top: Math.round(y * pixelRatio) }];
  });
  return sharp(await renderPng(paper, pixelRatio))
    .composite(pictures)
    .png()
    .toBuffer();
}

function drawCaption(
  loss: PicturedLoss,
  classes: readonly string[],
  { x, y }: { x: number; y: number },
): string[] {
  const quiet = { size: style.tickSize, color: style.quiet };
  const shorten = (name: string) => (name.length > longestName ? `${name.slice(0, longestName - 1)}…` : name);
  const frame = element('rect', { x, y, width: side, height: side, fill: style.faintGrid });
  const missing = drawText(x + side / 2, y + side / 2, 'no image', { ...quiet, anchor: 'middle' });
  return [
    loss.thumbnail === null ? frame + missing : frame,
    drawText(x, y + side + 18, `${shorten(classes[loss.predicted]!)} /`, {
      size: style.tickSize,
      weight: 600,
    }),
    drawText(
      x,
      y + side + 34,
      `${shorten(classes[loss.actual]!)} / ${formatLoss(loss.loss)} / ${formatLoss(loss.probability)}`,
      quiet,
    ),
  ];
}

/**
 * The centre square of an image, as the network sees it, as JPEG; null when it cannot be read any more, or has
 * changed.
 */
export async function readThumbnail(read: () => Promise<Buffer>): Promise<Buffer | null> {
  try {
    return await openImage(await read())
      .resize(thumbnailSide, thumbnailSide, { fit: 'cover' })
      .flatten({ background: 'white' })
      .toColourspace('srgb')
      .jpeg({ quality: 82 })
      .toBuffer();
  } catch {
    // A report on a folder that has moved still has everything else to say.
    return null;
  }
}
