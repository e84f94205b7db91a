import sharp, { type Sharp, type SharpOptions } from 'sharp';

// Parallelism comes from many images at once on libuv's pool, so one image gets one thread; nothing is read twice.
sharp.concurrency(1);
sharp.cache(false);

// Image files are untrusted: of libvips's loaders only the three well-fuzzed ones that a data set may use stay open.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: ['VipsForeignLoadJpegBuffer', 'VipsForeignLoadPngBuffer', 'VipsForeignLoadWebpBuffer'],
});

/** File names by which images are found in folders. */
export const imageName = /\.(jpe?g|png|webp)$/i;

/** Pixels of the largest image that is decoded: libvips's own 16383 × 16383, so that a small file cannot ask for all memory. */
const limitInputPixels = 0x3fff ** 2;

/** How every file is opened. */
const opening: SharpOptions = { failOn: 'error', limitInputPixels };

/** The version of what turns bytes into pixels; another version may round differently. */
export const decoderVersion = `libvips ${sharp.versions.vips}`;

/**
 * One JPEG, PNG or WebP file's bytes, ready for sharp's operations, upright as its EXIF orientation says. Truncated
 * and broken files fail; files with harmless oddities (bytes between markers, say) do not.
 */
export function openImage(bytes: Uint8Array): Sharp {
  const image = isJpeg(bytes) ? openWhole(bytes) : sharp(bytes, opening);
  return image.autoOrient();
}

/**
 * For a JPEG: all of it is decoded before the next operation begins. Line by line, threads wait for each other; and it
 * needs little memory, having been shrunk while it was decoded, to less than twice of what is wanted along one side.
 */
function openWhole(bytes: Uint8Array): Sharp {
  const image = sharp(bytes, { ...opening, sequentialRead: false });
  // sharp (0.34, 0.35) heeds `sequentialRead` only beside a property `access`, which nothing of its own sets.
  Object.assign((image as unknown as SharpInternals).options.input, { access: true });
  return image;
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

/** The size of an image from `openImage`, upright, as the file's head says. Rejects with what sharp throws. */
export async function readSize(image: Sharp): Promise<ImageSize> {
  const { autoOrient } = await image.metadata();
  return { width: autoOrient.width, height: autoOrient.height };
}

let svgUsers = 0;

/** Opens the SVG loader while `task` runs. For drawings of our own only: nothing untrusted may be decoded meanwhile. */
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
