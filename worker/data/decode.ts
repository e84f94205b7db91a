import { type StoredShape, storedShape } from '../../plan/stored-image.js';
import {
  type DecodePool,
  decodeSound,
  type ImageSize,
  openImage,
  readPixels,
  readSize,
  retryAlone,
} from '../../runtime/images.js';
import { threadPoolSize } from '../../runtime/limiter.js';
import { plainJpegSize } from './plain-jpeg.js';
import { resample, resamples } from './resample.js';

/**
 * The main thread resamples an image in 0.4 ms, so it keeps up with what this many threads of the pool decode. Where
 * there are more, libvips's own threads resample.
 */
const mostFedThreads = 8;

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
  return decodeTo(bytes, storedShape(size.width / size.height, presize), false);
}

export interface DecodedImage extends ImageSize {
  /** As `decodePixels` gives them. */
  readonly pixels: Uint8Array;
}

/**
 * `decodePixels` for a file that no index knows: its size is read, and it must be whole, as the files of an
 * index are.
 */
export function decodeImage(bytes: Buffer, presize: number, pool: DecodePool): Promise<DecodedImage> {
  return retryAlone(pool, async (inTurn) => {
    const size = await inTurn(1, () => readSize(bytes));
    const shape = storedShape(size.width / size.height, presize);
    const decode = (strict: boolean) => decodeTo(bytes, shape, strict);
    const pixels = await inTurn(size.width * size.height, () => decodeSound(bytes, decode));
    return { pixels, ...size };
  });
}

async function decodeTo(bytes: Uint8Array, shape: StoredShape, strict: boolean): Promise<Uint8Array> {
  const { rows, columns, turned } = shape;
  const [width, height] = turned ? [rows, columns] : [columns, rows];
  const size = threadPoolSize() <= mostFedThreads ? plainJpegSize(bytes) : null;
  if (size !== null && resamples(size, { width, height })) {
    // A third of all the time of an image is what libvips needs to set up and run a pipeline of operations.
    return resample(await readPixels(bytes, size, { strict }), size, { width, height }, turned);
  }
  // Linear is a triangle filter as wide as the shrink factor, as in PIL and torchvision.
  const { data, info } = await openImage(bytes, { strict })
    .resize(width, height, { fit: 'fill', kernel: 'linear' })
    .flatten({ background: 'white' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.width !== width || info.height !== height) throw new Error('decoded to another shape');
  if (info.channels !== 3) throw new Error(`decoded to ${info.channels} channels instead of 3`);
  return turned ? transpose(data, width, height) : data;
}

/**
 * [height, width, 3] → [width, height, 3]. libvips takes three times as long: it turns strips of 16 rows, and
 * computes the columns at their edges twice.
 */
function transpose(pixels: Uint8Array, width: number, height: number): Uint8Array {
  const bytes = width * height * 3;
  const turned = Buffer.allocUnsafeSlow(bytes);
  const from = new DataView(pixels.buffer, pixels.byteOffset, bytes);
  const to = new DataView(turned.buffer, turned.byteOffset, bytes);
  const rowBytes = width * 3;
  // Four pixels, one below the other, are three words of the result. A pixel is read as a word too, except
  // the very last one, which has no byte after it.
  const inWords = height - (height % 4) - (height % 4 === 0 ? 4 : 0);
  for (let x = 0, at = 0; x < width; x += 1) {
    let y = 0;
    let pixel = x * 3;
    for (; y < inWords; y += 4, at += 12, pixel += 4 * rowBytes) {
      const first = from.getUint32(pixel, true);
      const second = from.getUint32(pixel + rowBytes, true);
      const third = from.getUint32(pixel + 2 * rowBytes, true);
      const fourth = from.getUint32(pixel + 3 * rowBytes, true);
      to.setUint32(at, (first & 0xffffff) | (second << 24), true);
      to.setUint32(at + 4, ((second >>> 8) & 0xffff) | (third << 16), true);
      to.setUint32(at + 8, ((third >>> 16) & 0xff) | (fourth << 8), true);
    }
    for (; y < height; y += 1, at += 3, pixel += rowBytes) {
      turned[at] = pixels[pixel]!;
      turned[at + 1] = pixels[pixel + 1]!;
      turned[at + 2] = pixels[pixel + 2]!;
    }
  }
  return turned;
}
