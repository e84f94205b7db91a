import type { FloatDType } from '../tensorflow/dtype.js';
import type { Graph, Tensor } from '../tensorflow/graph.js';
import { conv2dCentred } from '../tensorflow/ops/convolution.js';
import { biasAdd, matMul } from '../tensorflow/ops/linear.js';
import type { ConvSpec } from './architecture.js';
import { normInference, normTraining } from './norm.js';

/** Where layers take parameters and running statistics from: by name, in the held shape, as `dtype`. */
export type Weights = <D extends FloatDType>(name: string, dtype: D) => Tensor<D>;

/** The layers of one forward pass. */
export interface Layers {
  readonly graph: Graph;
  readonly training: boolean;
  /** What the layers have taken so far, in the dtype that each computes with. */
  readonly parameters: ReadonlyMap<string, Tensor<FloatDType>>;
  norm<D extends FloatDType>(name: string, x: Tensor<D>): Tensor<D>;
  /** A convolution, computed in the dtype of `x`, and its batch norm. */
  convNorm<D extends FloatDType>(spec: ConvSpec, x: Tensor<D>): Tensor<D>;
  linear<D extends FloatDType>(name: string, x: Tensor<D>): Tensor<D>;
  /** In training: the batch's means and unbiased variances, by the names of their running counterparts. */
  readonly batchStatistics: ReadonlyMap<string, Tensor<'float32'>>;
}

/**
 * In training a batch norm uses the batch's own statistics and notes them; otherwise the running ones.
 * Statistics and weights stay float32 whatever the layers compute in.
 */
export function openLayers(graph: Graph, weights: Weights, training: boolean): Layers {
  const parameters = new Map<string, Tensor<FloatDType>>();
  const batchStatistics = new Map<string, Tensor<'float32'>>();

  function parameter<D extends FloatDType>(name: string, dtype: D): Tensor<D> {
    const value = weights(name, dtype);
    parameters.set(name, value);
    return value;
  }

  function norm<D extends FloatDType>(name: string, x: Tensor<D>): Tensor<D> {
    return graph.scope(name, () => {
      const [scale, offset] = [parameter(`${name}.weight`, 'float32'), parameter(`${name}.bias`, 'float32')];
      const [meanName, varianceName] = [`${name}.running_mean`, `${name}.running_var`];
      if (!training) {
        const [mean, variance] = [parameter(meanName, 'float32'), parameter(varianceName, 'float32')];
        return normInference(x, { scale, offset, mean, variance });
      }
      const { result, mean, variance } = normTraining(x, scale, offset);
      batchStatistics.set(meanName, mean);
      batchStatistics.set(varianceName, variance);
      return result;
    });
  }

  return {
    graph,
    training,
    parameters,
    norm,
    convNorm<D extends FloatDType>(spec: ConvSpec, x: Tensor<D>) {
      const convolved = graph.scope(spec.name, () => {
        const filter = parameter(`${spec.name}.weight`, x.dtype);
        return conv2dCentred(x, filter, spec.stride);
      });
      return norm(spec.norm, convolved);
    },
    linear: (name, x) =>
      graph.scope(name, () => {
        const weight = parameter(`${name}.weight`, x.dtype);
        const bias = parameter(`${name}.bias`, x.dtype);
        return biasAdd(matMul(x, weight, { b: true }), bias);
      }),
    batchStatistics,
  };
}
