import { averageName } from '../layout.js';

/**
 * A checkpoint's tensors as evaluation uses them: where it holds the moving average of a parameter or
 * statistic, that takes the place of what it averages, and none is left under its own name.
 */
export function throughAveraged<T>(tensors: ReadonlyMap<string, T>): Map<string, T> {
  const averages = averageName('');
  const plain = [...tensors].filter(([name]) => !name.startsWith(averages));
  return new Map(plain.map(([name, tensor]) => [name, tensors.get(averageName(name)) ?? tensor]));
}
