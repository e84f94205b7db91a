import { type Augmentation, drawAugmentation, neutralAugmentation } from './augmentation.js';
import type { AugmentKind } from './run-config.js';

/**
 * Test-time augmentation, as fastai v1's `Learner.TTA` (vision/tta.py): a network's answer is blended from
 * the one for the middle of an image and those for eight further views of it.
 */

/** fastai's `scale`: how much the views are enlarged. */
const scale = 1.35;
/** fastai's `beta`: the share of the answer for the middle of the image. */
const share = 0.4;
const viewCount = 8;
/** fastai takes a crop's place from below 1: at 1 it would lie one pixel beyond the image. */
const lastPlace = 1 - 1e-7;

/**
 * What is done to an image for each of its answers: nothing (null), then fastai's eight views, enlarged
 * towards each corner and cropped there, plain and flipped. Where training augments as fastai does, rotation,
 * warp and lighting are drawn for each view; they depend on nothing but the seed, so that an image's answer
 * does not depend on its companions.
 */
export function testTimeViews(kind: AugmentKind, seed: number): (Augmentation | null)[] {
  const views = Array.from({ length: viewCount }, (_, view): Augmentation => {
    const [row, column, flip] = [view & 1, (view >> 1) & 1, (view & 4) !== 0];
    const drawn = kind === 'fastai' ? drawAugmentation(seed, view, 0, 'test-time') : neutralAugmentation;
    const crop = [Math.min(column, lastPlace), Math.min(row, lastPlace)] as const;
    return { ...drawn, flip, zoom: scale, focus: [column, row], crop };
  });
  return [null, ...views];
}

/**
 * One answer out of those for all views, in the order of `testTimeViews`.
 *
 * @param answers probabilities, as many of each
 */
export function blendAnswers(answers: readonly ArrayLike<number>[]): Float32Array {
  const [plain, ...others] = answers as [ArrayLike<number>, ...ArrayLike<number>[]];
  return Float32Array.from(plain, (value, index) => {
    const sum = others.reduce((total, other) => total + other[index]!, 0);
    return share * value + ((1 - share) * sum) / others.length;
  });
}
