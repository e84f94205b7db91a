import { createHash, randomUUID } from 'node:crypto';
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { openStream } from '../../plan/random.js';
import { RondoError } from '../../runtime/errors.js';
import { withSvg } from '../../runtime/images.js';
import { createLimiter, threadPoolSize } from '../../runtime/limiter.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { composePicture, type SamplePicture } from './sample-picture.js';
import { sampleShapes } from './sample-shapes.js';

/** Raised when pictures composed alike are rendered in another way. */
const sampleVersion = 1;
const noiseTileLength = 1 << 18;

export interface DrawOptions {
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  onProgress(done: number, total: number): void;
  /** Pictures of each of the ten classes. */
  readonly perClass?: number;
}

/**
 * The sample data set's folder, one sub-folder of JPEG files per class; drawn on the first call, found on
 * later ones. It appears under its name only when it is whole. Throws RondoError when it cannot be written.
 */
export async function drawSample(o: DrawOptions): Promise<string> {
  const perClass = o.perClass ?? 100;
  const folder = path.join(o.cacheDir, `sample-v${sampleVersion}-${perClass}-${digestDesign()}`);
  if (await exists(folder)) return folder;
  const temporary = `${folder}.${randomUUID()}`;
  try {
    await withSvg(() => drawAll(temporary, perClass, o));
    // Another process may have made the folder meanwhile; its contents are the same.
    await rename(temporary, folder).catch(async (error: unknown) => {
      if (!(await exists(folder))) throw error;
    });
    return folder;
  } catch (error) {
    if (o.signal.aborted) throw error;
    const { code, message } = RondoError.from(error);
    throw new RondoError(code, `cannot draw the sample data set into ${folder}: ${message}`, {
      remedy: 'make room there (about 10 MB) and make it writable, or choose another cache folder',
      cause: error,
    });
  } finally {
    // Removing may fail for the same reason as writing; the first error is the one to report.
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
  }
}

/** Changes with the design of any class, so that pictures of another design are not taken for these. */
function digestDesign(): string {
  const examples = Object.entries(sampleShapes).map(([name, draw], label) => [
    name,
    composePicture(label, 0, draw),
  ]);
  return createHash('sha256').update(JSON.stringify(examples)).digest('hex').slice(0, 8);
}

async function drawAll(folder: string, perClass: number, o: DrawOptions): Promise<void> {
  const shapes = Object.entries(sampleShapes);
  const noise = drawNoiseTile();
  const limit = createLimiter(threadPoolSize());
  const total = shapes.length * perClass;
  let done = 0;
  const tasks = shapes.flatMap(([name, draw], label) =>
    Array.from({ length: perClass }, (_, index) =>
      limit(async () => {
        o.signal.throwIfAborted();
        const picture = composePicture(label, index, draw);
        const file = path.join(folder, name, `${name}-${String(index).padStart(3, '0')}.jpg`);
        makeFolder(path.dirname(file));
        await writeFile(file, await renderPicture(picture, noise));
        done += 1;
        o.onProgress(done, total);
      }),
    ),
  );
  // All of them, even after a failure: the folder is removed then, and nobody may still write into it.
  const failed = (await Promise.allSettled(tasks)).find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function renderPicture(picture: SamplePicture, noise: Float32Array): Promise<Buffer> {
  const { width, height } = picture;
  const pixels = await sharp(Buffer.from(picture.svg)).flatten().toColourspace('srgb').raw().toBuffer();
  const clamped = new Uint8ClampedArray(pixels.buffer, pixels.byteOffset, pixels.length);
  for (let i = 0; i < clamped.length; i += 1) {
    // A stride that shares no factor with the tile's length, so that rows do not repeat the tile in step.
    const at = (picture.noiseOffset + i * 5) & (noiseTileLength - 1);
    clamped[i] = clamped[i]! + picture.noise * noise[at]!;
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: picture.jpegQuality })
    .toBuffer();
}

/** Standard normal numbers by Box and Muller's method. */
function drawNoiseTile(): Float32Array {
  const stream = openStream(sampleVersion, 'augmentation');
  return Float32Array.from(
    { length: noiseTileLength },
    () => Math.sqrt(-2 * Math.log(1 - stream.unit())) * Math.cos(2 * Math.PI * stream.unit()),
  );
}

async function exists(folder: string): Promise<boolean> {
  return stat(folder).then(
    () => true,
    () => false,
  );
}
