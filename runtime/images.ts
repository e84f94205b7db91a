import sharp, { type Sharp, type SharpOptions } from 'sharp';
import { RondoError } from './errors.js';
import { createWeightedLimiter, threadPoolSize, type WeightedLimiter } from './limiter.js';

// Parallelism comes from many images at once on libuv's pool, so one image gets one thread; nothing is read
// twice.
sharp.concurrency(1);
sharp.cache(false);

// Image files are untrusted: of libvips's loaders only those stay open that a data set may use. All are among
// the ones that libvips itself holds fit for untrusted files (VIPS_BLOCK_UNTRUSTED leaves them open) and
// fuzzes; SVG is not.
const formats = ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Tiff', 'Heif'];
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: formats.map((format) => `VipsForeignLoad${format}Buffer`) });

/** Names of files that are taken for images. What a file is its bytes say, not its ending. */
export const imageName = /\.(jpe?g|jpe|jfif|png|webp|gif|tiff?|avif)$/i;

/** The endings of `imageName`, for messages. */
export const imageEndings = '.jpg, .jpeg, .jpe, .jfif, .png, .webp, .gif, .tif, .tiff or .avif';

/**
 * Pixels of the largest image that is decoded: a file of a few kilobytes may claim to have more than memory
 * holds. Telephones take photographs of 200 megapixels.
 */
export const maxImagePixels = 250_000_000;

/** The bound for people. */
export const maxImageSize = `${maxImagePixels / 1e6} megapixels`;

/** How every file is opened. */
const opening: SharpOptions = { failOn: 'error', limitInputPixels: maxImagePixels };

/**
 * Of images that are decoded at a time, for each thread of the pool and at least: most photographs have
 * fewer, and those that have more are decoded alone.
 */
const [pixelsPerThread, leastPixels] = [25_000_000, 100_000_000];
const bytesInHand = 256 * 2 ** 20;

/**
 * Bounds the memory of images in hand. A file's bytes are all in memory, and of an image whose format cannot
 * be read line by line (WebP, progressive JPEG, interlaced PNG) up to six bytes for each pixel, 1.5 GB for the
 * largest: several huge ones are not decoded at once, however many threads there are.
 */
export interface DecodePool {
  /** For reading a file, and what is done with it before the next one is read. */
  readonly bytes: WeightedLimiter;
  /** For decoding an image; inside `bytes` where both are needed. */
  readonly pixels: WeightedLimiter;
}

export function createDecodePool(): DecodePool {
  return {
    bytes: createWeightedLimiter(bytesInHand),
    pixels: createWeightedLimiter(Math.max(leastPixels, pixelsPerThread * threadPoolSize())),
  };
}

/**
 * What `decode` makes of an image with the room that it asks for in `pool`. When it fails, again while the pool
 * decodes nothing else: libvips keeps one message for all threads, so that another image's failure can replace
 * it. Rejects with what that second time threw, or with a RondoError of the first, which is none of the decoder's.
 */
export async function retryAlone<T>(
  { pixels }: DecodePool,
  decode: (inTurn: WeightedLimiter) => Promise<T>,
): Promise<T> {
  return decode(pixels).catch((error: unknown) => {
    if (error instanceof RondoError) throw error;
    return decode((_weight, task) => pixels(Number.POSITIVE_INFINITY, task));
  });
}

/** As `opening`, for a first look at a file: what is merely odd fails too. */
const strictOpening: SharpOptions = { ...opening, failOn: 'warning' };

/** The version of what turns bytes into pixels; another version may round differently. */
export const decoderVersion = `libvips ${sharp.versions.vips}`;

/**
 * One image file's bytes (JPEG, PNG, WebP, GIF, TIFF, AVIF), ready for sharp's operations, upright as its
 * EXIF orientation says; of several pages or frames the first. Truncated and broken files fail; files with
 * harmless oddities (bytes between markers, say) do not, unless `strict`.
 */
export function openImage(bytes: Uint8Array, { strict = false } = {}): Sharp {
  const options = strict ? strictOpening : opening;
  const image = isJpeg(bytes) ? openWhole(bytes, options) : sharp(bytes, options);
  return image.autoOrient();
}

/**
 * For a JPEG: all of it is decoded before the next operation begins. Line by line, threads wait for each
 * other; and it needs little memory, having been shrunk while it was decoded, to less than twice of what is
 * wanted along one side.
 */
function openWhole(bytes: Uint8Array, options: SharpOptions): Sharp {
  const image = sharp(bytes, { ...options, sequentialRead: false });
  // sharp (0.34, 0.35) heeds `sequentialRead` only beside a property `access`, which nothing of its own sets.
  Object.assign((image as unknown as SharpInternals).options.input, { access: true });
  return image;
}

/**
 * A JPEG's own pixels, [height, width, 3], as they are stored: not turned, not converted. Rejects with what sharp
 * throws, and where they are not as many.
 */
export async function readPixels(
  bytes: Uint8Array,
  { width, height }: ImageSize,
  { strict = false } = {},
): Promise<Uint8Array> {
  const { data, info } = await sharp(bytes, strict ? strictOpening : opening)
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.width === width && info.height === height && info.channels === 3) return data;
  throw new Error(
    `decoded to ${info.width} × ${info.height} × ${info.channels}, not ${width} × ${height} × 3`,
  );
}

interface SharpInternals {
  readonly options: { readonly input: object };
}

function isJpeg([first, second]: Uint8Array): boolean {
  return first === 0xff && second === 0xd8;
}

/** Pixels, upright. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/**
 * The size of one file's image, upright, as its head says; nothing is decoded. Rejects for an image that is
 * too large to be decoded, with what sharp throws, and for samples of which nobody can say what is white:
 * TIFF's floats and 32-bit integers.
 */
export async function readSize(bytes: Uint8Array): Promise<ImageSize> {
  const { autoOrient, depth } = await sharp(bytes, { ...opening, limitInputPixels: false }).metadata();
  if (depth !== 'uchar' && depth !== 'ushort')
    throw new Error(`its samples are of type ${depth}, not 8 or 16 bits`);
  const { width, height } = autoOrient;
  if (width * height > maxImagePixels) throw new Error(describeTooLarge({ width, height }));
  return { width, height };
}

function describeTooLarge({ width, height }: ImageSize): string {
  const megapixels = (pixels: number) => `${Math.ceil(pixels / 1e6)} megapixels`;
  return `is too large: ${width} × ${height}, ${megapixels(width * height)}, and at most ${maxImageSize} are decoded`;
}

/** A grey rim at the foot of a picture is no reason to leave it out; PIL accepts more. */
const maxMissingShare = 0.05;

/**
 * What `decode` makes of an image file, unless a part of the picture is not there: then it rejects, as it does
 * for what cannot be decoded at all. `decode` is called again when a strict look finds something odd.
 */
export async function decodeSound<T>(bytes: Buffer, decode: (strict: boolean) => Promise<T>): Promise<T> {
  // Of other formats damage is an error, and warnings are about unknown tags and the like.
  if (!isJpeg(bytes)) return decode(bytes.toString('latin1', 0, 4) === 'GIF8');
  try {
    return await decode(true);
  } catch (error) {
    const decoded = await decode(false);
    // A warning is judged by what is missing from the picture: stray bytes between a JPEG's parts cost
    // nothing.
    const missing = await readMissingShare(bytes);
    if (missing <= maxMissingShare) return decoded;
    throw new Error(`${Math.round(100 * missing)} % of the picture is missing`, { cause: error });
  }
}

/** Block of a JPEG, in pixels along a side: an eighth of the size is decoded to one value for each. */
const jpegBlock = 8;

/**
 * The share of a JPEG's picture that its data says nothing of. Where they end too soon, at a marker that
 * garbage holds by chance, libjpeg warns and leaves the blocks to come at zero, which is middle grey, down to
 * the last row.
 */
async function readMissingShare(bytes: Uint8Array): Promise<number> {
  const image = sharp(bytes, {
    limitInputPixels: maxImagePixels,
    failOn: 'none',
    sequentialRead: false,
    ignoreIcc: true,
  });
  const { width, height, space } = await image.metadata();
  const { data, info } = await image
    .resize(Math.ceil(width / jpegBlock), Math.ceil(height / jpegBlock), { fit: 'fill' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { channels } = info;
  // Inks are converted, so what their zero became can only be seen at the end.
  const grey = space === 'cmyk' ? data.subarray(-channels) : new Uint8Array(channels).fill(128);
  let missing = 0;
  for (let at = data.length - channels; at >= 0; at -= channels) {
    if (!grey.every((value, channel) => data[at + channel] === value)) break;
    missing += 1;
  }
  return missing / (info.width * info.height);
}

let svgUsers = 0;

/**
 * Opens the SVG loader while `task` runs. For drawings of our own only: nothing untrusted may be decoded
 * meanwhile.
 */
export async function withSvg<T>(task: () => Promise<T>): Promise<T> {
  const operation = ['VipsForeignLoadSvgBuffer'];
  svgUsers += 1;
  sharp.unblock({ operation });
  try {
    return await task();
  } finally {
    svgUsers -= 1;
    if (svgUsers === 0) sharp.block({ operation });
  }
}
