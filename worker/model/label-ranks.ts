/**
 * How many classes have a higher score than each row's label: 0 where the label is what argmax finds, which
 * takes the first of equals. A score that is not a number counts as higher than any, so that nothing is right
 * by accident.
 *
 * @param scores [n, classes], row by row
 */
export function rankLabels(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: number,
): Uint32Array {
  return Uint32Array.from(labels, (label, row) => {
    const own = scores[row * classes + label]!;
    let rank = 0;
    for (let k = 0; k < classes; k += 1) {
      const other = scores[row * classes + k]!;
      if (k !== label && !(k < label ? own > other : own >= other)) rank += 1;
    }
    return rank;
  });
}
