import {
  applyHomography,
  compose,
  type Homography,
  invert,
  type Point,
  scaleAndShift,
  squareToQuad,
  swapAxes,
} from './homography.js';
import { openStream, type Purpose } from './random.js';
import type { AugmentKind } from './run-config.js';
import { storedShape } from './stored-image.js';

/**
 * What fastai v1's `get_transforms()` draws for one image. A transform that the coin left out has its neutral
 * value.
 */
export interface Augmentation {
  /** Left to right. */
  readonly flip: boolean;
  /** Degrees; 0 neutral. */
  readonly angle: number;
  /** ≥ 1; 1 neutral. */
  readonly zoom: number;
  /** What the zoom keeps in place: shares of the width and the height. */
  readonly focus: Point;
  /**
   * fastai's `symmetric_warp` magnitudes [m0, m1, m2, m3]: right and left side's height, bottom's and top's
   * width; 0 neutral.
   */
  readonly warp: readonly [number, number, number, number];
  /** Where the crop lies: shares of the free columns and rows. */
  readonly crop: Point;
  /** fastai's `change`, in (0, 1); .5 neutral. */
  readonly brightness: number;
  /** fastai's `scale`, > 0; 1 neutral. */
  readonly contrast: number;
}

const flipProbability = 0.5;
const transformProbability = 0.75;
const maxAngle = 10;
const maxZoom = 1.1;
const maxWarp = 0.2;
const maxBrightness = 0.1;
const maxContrast = 1.25;

/** Does nothing but crop the middle. */
export const neutralAugmentation: Augmentation = {
  flip: false,
  angle: 0,
  zoom: 1,
  focus: [0.5, 0.5],
  warp: [0, 0, 0, 0],
  crop: [0.5, 0.5],
  brightness: 0.5,
  contrast: 1,
};

/**
 * What one training sample gets in one epoch. `fastai`: all of `drawAugmentation`. `flip`: its flip and its
 * random crop alone, which is what fastai's `get_transforms` leaves when everything else is turned off; the
 * crop moves along the long side only. `none`: null, the centre crop of validation.
 */
export function augmentSample(
  kind: AugmentKind,
  seed: number,
  epoch: number,
  sampleId: number,
): Augmentation | null {
  if (kind === 'none') return null;
  const drawn = drawAugmentation(seed, epoch, sampleId);
  return kind === 'fastai' ? drawn : { ...neutralAugmentation, flip: drawn.flip, crop: drawn.crop };
}

/**
 * The augmentation of one sample in one epoch, whichever rank decodes it (fastai v1, `vision/transform.py`).
 */
export function drawAugmentation(
  seed: number,
  epoch: number,
  sampleId: number,
  purpose: Purpose = 'augmentation',
): Augmentation {
  const stream = openStream(seed, purpose, epoch, sampleId);
  // Both the coin and the value are drawn always, so that each number stays at its own place in the stream.
  const maybe = <T>(value: T, neutral: T): T => (stream.unit() < transformProbability ? value : neutral);
  const warpMagnitude = () => stream.uniform(-maxWarp, maxWarp);
  return {
    flip: stream.unit() < flipProbability,
    angle: maybe(stream.uniform(-maxAngle, maxAngle), 0),
    zoom: maybe(stream.uniform(1, maxZoom), 1),
    focus: [stream.unit(), stream.unit()],
    warp: maybe([warpMagnitude(), warpMagnitude(), warpMagnitude(), warpMagnitude()] as const, [0, 0, 0, 0]),
    crop: [stream.unit(), stream.unit()],
    brightness: maybe(stream.uniform(0.5 - maxBrightness, 0.5 + maxBrightness), 0.5),
    contrast: maybe(Math.exp(stream.uniform(-Math.log(maxContrast), Math.log(maxContrast))), 1),
  };
}

/**
 * One image's way from output pixel to stored pixel (plan/stored-image.ts) as the eight numbers a0 a1 a2 b0
 * b1 b2 c0 c1 of TensorFlow's ImageProjectiveTransformV3: output (x, y) is sampled at column (a0 x + a1 y +
 * a2)/k and row (b0 x + b1 y + b2)/k, k = c0 x + c1 y + 1.
 *
 * As in fastai v1 the original, of shape `aspect` = width/height, is scaled until its short side is `size`,
 * warped, rotated, zoomed, flipped and then cropped to size × size: in the middle without augmentation. Grids
 * of all sizes have their corner pixels' centres at ±1 (fastai's aligned corners).
 */
export function projectiveTransform(
  augmentation: Augmentation | null,
  aspect: number,
  presize: number,
  size: number,
): Float32Array {
  return toNumbers(storedHomography(augmentation, aspect, presize, size));
}

/** The rows of a stored image that a transform reaches, mirrored at its ends where they lie outside. */
export interface RowWindow {
  /** May be negative. */
  readonly start: number;
  readonly rows: number;
}

/**
 * `projectiveTransform` of each of `views` of an image of which only the rows of `window` are there: a long
 * image is not needed as a whole. The window holds what any of them reaches, with a row to spare for
 * float32's rounding, and is a function of the arguments alone.
 */
export function windowedTransforms(
  views: readonly (Augmentation | null)[],
  aspect: number,
  presize: number,
  size: number,
): { readonly transforms: readonly Float32Array[]; readonly window: RowWindow } {
  const maps = views.map((view) => storedHomography(view, aspect, presize, size));
  // k is positive all over the output, so its corners reach farthest.
  const last = size - 1;
  const corners = [
    [0, 0],
    [last, 0],
    [0, last],
    [last, last],
  ] as const;
  const reached = maps.flatMap((map) => corners.map((corner) => applyHomography(map, corner)[1]));
  const start = Math.floor(reached.reduce((a, b) => Math.min(a, b)) - rounding);
  const end = Math.floor(reached.reduce((a, b) => Math.max(a, b)) + rounding) + 2;
  const transforms = maps.map((map) => toNumbers(compose(scaleAndShift(1, 1, 0, -start), map)));
  return { transforms, window: { start, rows: end - start } };
}

/** Of a row's number in float32, in ImageProjectiveTransformV3. */
const rounding = 0.01;

function toNumbers(map: Homography): Float32Array {
  return Float32Array.from(map.slice(0, 8), (value) => value / map[8]);
}

/** Output pixel to (column, row) of the stored image. */
function storedHomography(
  augmentation: Augmentation | null,
  aspect: number,
  presize: number,
  size: number,
): Homography {
  const width = aspect >= 1 ? Math.round(size * aspect) : size;
  const height = aspect >= 1 ? size : Math.round(size / aspect);
  const [cropX, cropY] = augmentation?.crop ?? [0.5, 0.5];
  const crop = scaleAndShift(
    1,
    1,
    Math.floor((width - size + 1) * cropX),
    Math.floor((height - size + 1) * cropY),
  );
  const toSquare = pixelsToSquare(width, height);
  const stored = storedShape(aspect, presize);
  const [across, along] = [(stored.columns - 1) / 2, (stored.rows - 1) / 2];
  const fromSquare = stored.turned
    ? compose(swapAxes, scaleAndShift(along, across, along, across))
    : scaleAndShift(across, along, across, along);
  return augmentation === null
    ? compose(fromSquare, toSquare, crop)
    : compose(fromSquare, inSquare(augmentation, width / height), toSquare, flip(augmentation, width), crop);
}

/**
 * [shift, scale] of the lighting in logit space: x' = sigmoid(scale × (logit(x) + shift)); fastai clamps x to
 * [1e-7, 1 − 1e-7].
 */
export function lighting(augmentation: Augmentation | null): [number, number] {
  if (augmentation === null) return [0, 1];
  const { brightness, contrast } = augmentation;
  return [Math.log(brightness / (1 - brightness)), contrast];
}

function pixelsToSquare(width: number, height: number): Homography {
  // A side of one pixel lies at −1, as in fastai's grid.
  const scale = (side: number) => (side > 1 ? 2 / (side - 1) : 0);
  return scaleAndShift(scale(width), scale(height), -1, -1);
}

function flip(augmentation: Augmentation, width: number): Homography {
  return augmentation.flip ? scaleAndShift(-1, 1, width - 1, 0) : scaleAndShift(1, 1, 0, 0);
}

/**
 * Rotation after zoom after warp, on coordinates in [−1, 1]²: fastai applies coordinate transforms before
 * affine ones. The affine product is corrected for the shape as fastai does it: in the two numbers beside the
 * diagonal.
 */
function inSquare(augmentation: Augmentation, aspect: number): Homography {
  const angle = (augmentation.angle * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const shrink = 1 / augmentation.zoom;
  const [focusX, focusY] = augmentation.focus;
  const shiftX = (1 - shrink) * (2 * focusX - 1);
  const shiftY = (1 - shrink) * (2 * focusY - 1);
  const zoom = scaleAndShift(shrink, shrink, shiftX, shiftY);
  const [a, b, c, d, e, f] = compose([cos, -sin, 0, sin, cos, 0, 0, 0, 1], zoom);
  return compose([a, b / aspect, c, d * aspect, e, f, 0, 0, 1], unwarp(augmentation.warp));
}

/** Output to input: the input's corners appear in the output at the warped ones. */
function unwarp([right, left, bottom, top]: Augmentation['warp']): Homography {
  return invert(
    squareToQuad({
      topLeft: [-1 - top, -1 - left],
      topRight: [1 + top, -1 - right],
      bottomRight: [1 + bottom, 1 + right],
      bottomLeft: [-1 - bottom, 1 + left],
    }),
  );
}
