/**
 * A factor per class that gives all classes the same share of the loss, n / (classes × count), as
 * scikit-learn's `balanced` has it: the mean over the samples is 1. A class without samples, which never
 * weighs, has 1.
 */
export function balanceClasses(classCount: number, labels: Iterable<number>): number[] {
  const counts = new Array<number>(classCount).fill(0);
  let samples = 0;
  for (const label of labels) {
    counts[label]! += 1;
    samples += 1;
  }
  return counts.map((count) => (count === 0 ? 1 : samples / (classCount * count)));
}
