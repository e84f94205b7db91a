/** Sizes by dimension; null is known only when the graph runs (the batch). */
export type Shape = readonly (number | null)[];

/** `[n, 224, 224, 3]`, where n stands for a size that is not known yet. */
export function formatShape(shape: Shape): string {
  return `[${shape.map((size) => size ?? 'n').join(', ')}]`;
}

/** Number of elements, or null if a dimension is unknown. */
export function elementCount(shape: Shape): number | null {
  return shape.reduce<number | null>(
    (count, size) => (count === null || size === null ? null : count * size),
    1,
  );
}

/** Whether two sizes can be the same: equal, or at least one not known yet. */
export function sizesAgree(a: number | null, b: number | null): boolean {
  return a === null || b === null || a === b;
}

/** Whether two shapes can be the same. */
export function shapesAgree(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => sizesAgree(size, b[axis]!));
}

/** What is known of a shape that is described twice. */
export function mergeShapes(a: Shape, b: Shape): Shape {
  return a.map((size, axis) => size ?? b[axis]!);
}

/** NumPy's broadcasting; undefined when the shapes do not fit. An unknown size against 1 stays unknown. */
export function broadcastShapes(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const result: (number | null)[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const left = a.length + axis < rank ? 1 : a[axis - rank + a.length]!;
    const right = b.length + axis < rank ? 1 : b[axis - rank + b.length]!;
    if (left === 1) result.push(right);
    else if (right === 1) result.push(left);
    else if (sizesAgree(left, right)) result.push(left ?? right);
    else return undefined;
  }
  return result;
}
