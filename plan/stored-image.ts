/** How an image's pixels are kept between decoding and augmentation. */
export interface StoredShape {
  /** Along the image's long side: presize × long side / short side. */
  readonly rows: number;
  /** Along its short side: presize. */
  readonly columns: number;
  /** Whether rows of the stored image are columns of the original, which is wider than high. */
  readonly turned: boolean;
}

/**
 * Long side over short side up to which both sides keep their resolution. Longer images are squeezed along
 * the long side.
 */
export const maxStoredAspect = 8;

/**
 * The original, of shape `aspect` = width/height, is scaled until its short side is `presize`, as
 * torchvision's Resize and fastai do, and lies so that its long side runs downwards: what a crop needs are
 * then whole rows, one after the other.
 */
export function storedShape(aspect: number, presize: number): StoredShape {
  const elongation = Math.min(Math.max(aspect, 1 / aspect), maxStoredAspect);
  return { rows: Math.round(presize * elongation), columns: presize, turned: aspect > 1 };
}

/** Bytes of a stored image: three of 8 bits for each pixel. */
export function storedBytes(aspect: number, presize: number): number {
  const { rows, columns } = storedShape(aspect, presize);
  return rows * columns * 3;
}
