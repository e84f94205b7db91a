import type { Tensor } from '../graph.js';
import { add, divide, multiply, reciprocalRoot, subtract } from './arithmetic.js';
import { reshape } from './arrays.js';
import { type BatchNormParameters, type BatchNormResult, epsilon } from './batch-norm.js';
import { checkRank } from './checks.js';
import { cast } from './convert.js';
import { sum } from './reductions.js';
import { constant, sizeOf } from './sources.js';

type Doubles = Tensor<'float64'>;

function normalize(
  centred: Doubles,
  variance: Doubles,
  scale: Tensor<'float32'>,
  offset: Tensor<'float32'>,
): Doubles {
  const least = cast(constant(centred.node.graph, 'float32', epsilon), 'float64');
  const normal = multiply(centred, reciprocalRoot(add(variance, least)));
  return add(multiply(normal, cast(scale, 'float64')), cast(offset, 'float64'));
}

/** As batchNormTraining, composed of small operations: the fused kernels know no float64. */
export function plainBatchNormTraining(
  x: Doubles,
  scale: Tensor<'float32'>,
  offset: Tensor<'float32'>,
): BatchNormResult<'float64'> {
  checkRank('batch norm', 4, x);
  const channels = x.shape[3]!;
  const places = divide(
    cast(sizeOf(x), 'float64'),
    cast(constant(x.node.graph, 'int32', channels), 'float64'),
  );
  const meanOf = (values: Doubles) => divide(sum(values, [0, 1, 2], true), places);
  const mean = meanOf(x);
  const centred = subtract(x, mean);
  const variance = meanOf(multiply(centred, centred));
  const one = cast(constant(x.node.graph, 'float32', 1), 'float64');
  const unbiased = multiply(variance, divide(places, subtract(places, one)));
  return {
    result: normalize(centred, variance, scale, offset),
    mean: cast(reshape(mean, [channels]), 'float32'),
    variance: cast(reshape(unbiased, [channels]), 'float32'),
  };
}

/** As batchNormInference. */
export function plainBatchNormInference(
  x: Doubles,
  { scale, offset, mean, variance }: BatchNormParameters,
): Doubles {
  return normalize(subtract(x, cast(mean, 'float64')), cast(variance, 'float64'), scale, offset);
}
