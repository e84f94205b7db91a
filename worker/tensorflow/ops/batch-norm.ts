import type { FloatDType } from '../dtype.js';
import { output, type Tensor } from '../graph.js';
import { check, checkDType, checkRank, checkShape } from './checks.js';
import { constant } from './sources.js';

/** PyTorch's and fastai's. */
export const epsilon = 1e-5;

/** What the fused kernels compute in. */
const fused: readonly FloatDType[] = ['float32', 'bfloat16'];

export interface BatchNormResult<D extends FloatDType> {
  readonly result: Tensor<D>;
  /** Mean of the batch, by channel. */
  readonly mean: Tensor<'float32'>;
  /** Unbiased variance of the batch, by channel. */
  readonly variance: Tensor<'float32'>;
}

export interface BatchNormParameters {
  readonly scale: Tensor<'float32'>;
  readonly offset: Tensor<'float32'>;
  readonly mean: Tensor<'float32'>;
  readonly variance: Tensor<'float32'>;
}

function attributesOf(dtype: FloatDType, training: boolean) {
  return {
    T: { kind: 'type', value: dtype },
    U: { kind: 'type', value: 'float32' },
    epsilon: { kind: 'float', value: epsilon },
    data_format: { kind: 'string', value: 'NHWC' },
    is_training: { kind: 'bool', value: training },
  } as const;
}

function batchNorm<D extends FloatDType>(
  x: Tensor<D>,
  [scale, offset, mean, variance]: readonly Tensor<'float32'>[],
  training: boolean,
): Tensor<D> {
  const op = 'FusedBatchNormV3';
  checkDType(op, fused, x);
  checkRank(op, 4, x);
  const channels = x.shape[3]!;
  check(channels !== null, op, 'the channels must be known', x);
  const graph = x.node.graph;
  const statistics = training ? [0] : [channels];
  for (const [tensor, shape] of [
    [scale!, [channels]],
    [offset!, [channels]],
    [mean!, statistics],
    [variance!, statistics],
  ] as const) {
    checkDType(op, ['float32'], tensor);
    checkShape(op, shape, tensor);
  }
  const perChannel = { dtype: 'float32', shape: [channels] } as const;
  const outputs = [
    { dtype: x.dtype, shape: x.shape },
    perChannel,
    perChannel,
    perChannel,
    perChannel,
    { dtype: 'float32', shape: [null] } as const,
  ];
  const inputs = [x, scale!, offset!, mean!, variance!];
  const attributes = {
    ...attributesOf(x.dtype, training),
    exponential_avg_factor: { kind: 'float', value: 1 },
  } as const;
  return output(graph.add({ op, inputs, attributes, outputs }));
}

/** Normalises images [n, height, width, channels] by the batch's own mean and variance. */
export function batchNormTraining<D extends FloatDType>(
  x: Tensor<D>,
  scale: Tensor<'float32'>,
  offset: Tensor<'float32'>,
): BatchNormResult<D> {
  const empty = constant(x.node.graph, 'float32', []);
  const result = batchNorm(x, [scale, offset, empty, empty], true);
  return { result, mean: output(result.node, 1), variance: output(result.node, 2) };
}

/** Normalises images [n, height, width, channels] by a given mean and variance. */
export function batchNormInference<D extends FloatDType>(
  x: Tensor<D>,
  parameters: BatchNormParameters,
): Tensor<D> {
  const { scale, offset, mean, variance } = parameters;
  return batchNorm(x, [scale, offset, mean, variance], false);
}

export interface BatchNormGradients<D extends FloatDType> {
  readonly x: Tensor<D>;
  readonly scale: Tensor<'float32'>;
  readonly offset: Tensor<'float32'>;
}

/** Gradients of batchNormTraining, whose result comes from `forward`. */
export function batchNormGradient<D extends FloatDType>(
  forward: Tensor<D>,
  gradient: Tensor<D>,
): BatchNormGradients<D> {
  const op = 'FusedBatchNormGradV3';
  const node = forward.node;
  const [x, scale] = node.inputs as readonly [Tensor<D>, Tensor<'float32'>];
  checkShape(op, x.shape, gradient);
  const attributes = attributesOf(x.dtype, true);
  const inputs = [gradient, x, scale, output(node, 3), output(node, 4), output(node, 5)];
  const perChannel = { dtype: 'float32', shape: scale.shape } as const;
  const unused = { dtype: 'float32', shape: [0] } as const;
  const outputs = [{ dtype: x.dtype, shape: x.shape }, perChannel, perChannel, unused, unused];
  const result = node.graph.add({ op, inputs, attributes, outputs });
  return { x: output(result, 0), scale: output(result, 1), offset: output(result, 2) };
}
