import type { TensorSpec } from '../../worker/model/blocks.js';
import type { StateLayout } from '../../worker/model/layout.js';

type Shapes = readonly (readonly [name: string, shape: readonly number[]])[];

/**
 * A flat state's layout for a handful of tensors: parameters, statistics, then the moments of the parameters
 * their updates and amax.
 */
export function layoutOf(parameters: Shapes, statistics: Shapes): StateLayout {
  let length = 0;
  const place = ([name, shape]: Shapes[number]): TensorSpec => {
    const spec = { name, shape, offset: length };
    length += shape.reduce((product, side) => product * side, 1);
    return spec;
  };
  const placedParameters = parameters.map((entry) => ({ ...place(entry), group: 0 }));
  const parameterLength = length;
  const placedStatistics = statistics.map(place);
  const first = parameters.map(([name, shape]) => place([`optimizer.first.${name}`, shape]));
  const second = parameters.map(([name, shape]) => place([`optimizer.second.${name}`, shape]));
  const updates = place(['optimizer.updates', [1]]);
  const amax = place(['optimizer.amax', [parameters.length]]);
  return {
    parameters: placedParameters,
    statistics: placedStatistics,
    first,
    second,
    updates,
    amax,
    average: [],
    length,
    parameterLength,
    evaluated: { start: 0, end: first[0]!.offset },
  };
}
