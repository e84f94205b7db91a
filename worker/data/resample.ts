import type { ImageSize } from '../../runtime/images.js';
import { assembled } from './gen/resample.js';

/**
 * libvips's own steps, so that the pixels are its pixels, bit for bit: places in the source are rounded to 1/64 of
 * a pixel, and counted on from the first one of a row, or of 16 rows.
 */
const [phases, stripRows] = [64, 16];
/** What a weight of 1 is: both results are rounded to whole bytes. */
const one = 4096;
/** Of one access to memory: so much beyond the last pixel may be read and written. */
const vectorBytes = 16;
const pixelBytes = 3;
/** Rows that are computed together. */
const together = 4;
/** Integers that the module is told of each row, and of each column. */
const [rowWords, columnWords] = [3, 2];
const pageBytes = 65_536;

/** Source pixels of a larger image are kept in memory for good. */
export const mostResampledPixels = 4_000_000;

type Run = (...parameters: number[]) => void;
let opened: { readonly memory: WebAssembly.Memory<false>; readonly run: Run } | undefined;

function openModule() {
  if (opened !== undefined) return opened;
  const memory = new WebAssembly.Memory<false>({ initial: 1, maximum: 2 ** 14 });
  const module = new WebAssembly.Module(Buffer.from(assembled.own, 'base64'));
  const { exports } = new WebAssembly.Instance(module, { worker: { memory } });
  opened = { memory, run: exports.resample as Run };
  return opened;
}

/**
 * Whether `resample` takes an image of this size to that one: both sides shrink, and not so far that libvips would
 * shrink a JPEG while it decodes it, or average whole pixels first.
 */
export function resamples(from: ImageSize, to: ImageSize): boolean {
  const [across, down] = [from.width / to.width, from.height / to.height];
  const shrinks = Math.min(across, down) > 1 && Math.min(across, down) < 3 && Math.max(across, down) < 4;
  return shrinks && to.height >= together && from.width * from.height <= mostResampledPixels;
}

/**
 * [height, width, 3] of `from`'s size, 8 bits each, to `to`'s, with a triangle filter as wide as the shrink factor:
 * the same bits as libvips (8.18) computes, without its pipeline. `turned`: rows of the result are
 * columns of the image. Only for sizes of which `resamples` is true.
 */
export function resample(
  pixels: Uint8Array,
  from: ImageSize,
  to: ImageSize,
  turned: boolean,
): Uint8Array<ArrayBuffer> {
  const across = openAxis(from.width, to.width, to.width);
  const down = openAxis(from.height, to.height, stripRows);
  const stride = from.width * pixelBytes;
  const resultBytes = to.width * to.height * pixelBytes;
  const lineBytes = alignUp((from.width + 2 * across.points) * pixelBytes + vectorBytes);
  const groups = Math.ceil(to.height / together);
  const layout = createLayout();
  const downTaps = layout.place(down.taps.byteLength);
  const acrossTaps = layout.place(across.taps.byteLength);
  const rows = layout.place(4 * rowWords * together * groups);
  const columns = layout.place(4 * columnWords * to.width);
  const lines = layout.place(together * lineBytes);
  const source = layout.place((from.height + 2 * down.points) * stride);
  const result = layout.place(resultBytes);

  const { memory, run } = openModule();
  const missing = layout.bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
  const bytes = new Uint8Array(memory.buffer);
  const words = new Int32Array(memory.buffer);
  const halves = new Int16Array(memory.buffer);

  halves.set(down.taps, downTaps / 2);
  halves.set(across.taps, acrossTaps / 2);
  const rowStep = turned ? pixelBytes : to.width * pixelBytes;
  const columnStep = turned ? to.height * pixelBytes : pixelBytes;
  for (let group = 0, at = rows / 4; group < groups; group += 1) {
    // The last rows are computed twice where they are fewer.
    const first = Math.min(together * group, to.height - together);
    for (let row = first; row < first + together; row += 1, at += rowWords) {
      words[at] = result + row * rowStep;
      words[at + 1] = down.starts[row]! * stride;
      words[at + 2] = downTaps + down.phases[row]! * down.tapBytes;
    }
  }
  for (let column = 0, at = columns / 4; column < to.width; column += 1, at += columnWords) {
    words[at] = across.starts[column]! * pixelBytes;
    words[at + 1] = acrossTaps + across.phases[column]! * across.tapBytes;
  }

  // Beyond its ends the image goes on as its first and its last row.
  const firstRow = source + down.before * stride;
  const lastRow = firstRow + (from.height - 1) * stride;
  bytes.set(pixels, firstRow);
  for (let at = source; at < firstRow; at += stride) bytes.copyWithin(at, firstRow, firstRow + stride);
  for (let row = 1; row <= down.points; row += 1) {
    bytes.copyWithin(lastRow + row * stride, lastRow, lastRow + stride);
  }

  const left = across.before * pixelBytes;
  const right = across.points * pixelBytes;
  const [rowsEnd, columnsEnd] = [
    rows + 4 * rowWords * together * groups,
    columns + 4 * columnWords * to.width,
  ];
  // biome-ignore format: the module's parameters, line for line
  run(
    source, stride, rows, rowsEnd, down.tapBytes,
    lines, lineBytes, left, right,
    columns, columnsEnd, across.tapBytes, columnStep, rowStep,
  );
  const resampled = Buffer.allocUnsafeSlow(resultBytes);
  resampled.set(bytes.subarray(result, result + resultBytes));
  return resampled;
}

/** How one side is shrunk. */
interface Axis {
  /** Source pixels that one of the result is computed from, an odd number. */
  readonly points: number;
  /** How many of them may lie before the source's first one. */
  readonly before: number;
  /** Of each pixel of the result: the first source pixel, counted from `before` before the first one. */
  readonly starts: Int32Array;
  /** And which row of `taps` weighs it. */
  readonly phases: Uint8Array;
  /** [phases + 1, points and one more] */
  readonly taps: Int16Array;
  readonly tapBytes: number;
}

function openAxis(from: number, to: number, strip: number): Axis {
  // sharp gives libvips the scale, which makes the factor of it again.
  const shrink = 1 / (1 / (from / to));
  const points = 2 * roundToEven(shrink) + 1;
  const width = points + 1;
  const taps = new Int16Array((phases + 1) * width);
  const weights = new Float64Array(points);
  for (let phase = 0; phase <= phases; phase += 1) {
    const middle = phase / phases + points / 2 - 1;
    let sum = 0;
    for (let point = 0; point < points; point += 1) {
      weights[point] = Math.max(0, 1 - Math.abs((point - middle) / shrink));
      sum += weights[point]!;
    }
    for (let point = 0; point < points; point += 1) {
      taps[phase * width + point] = Math.trunc((weights[point]! / sum) * one);
    }
  }
  const starts = new Int32Array(to);
  const phaseOf = new Uint8Array(to);
  const offset = (1 + (to * shrink - from)) / 2 - 1;
  for (let pixel = 0, place = 0; pixel < to; pixel += 1, place += shrink) {
    if (pixel % strip === 0) place = (pixel + 0.5) * shrink - 0.5 - offset;
    starts[pixel] = Math.trunc(place);
    phaseOf[pixel] = ((Math.trunc(place * 2 * phases) % (2 * phases)) + 1) >> 1;
  }
  return { points, before: Math.ceil(points / 2) - 1, starts, phases: phaseOf, taps, tapBytes: 2 * width };
}

/** Halves go to the even neighbour. */
function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0);
}

/** Addresses of what lies one after the other, with room for an access beyond its end. */
function createLayout() {
  const layout = {
    bytes: 0,
    place(length: number): number {
      const at = layout.bytes;
      layout.bytes = alignUp(at + length + vectorBytes);
      return at;
    },
  };
  return layout;
}

function alignUp(bytes: number): number {
  return Math.ceil(bytes / vectorBytes) * vectorBytes;
}
