import type { FloatDType } from '../tensorflow/dtype.js';
import type { Tensor } from '../tensorflow/graph.js';
import {
  type BatchNormParameters,
  type BatchNormResult,
  batchNormInference,
  batchNormTraining,
} from '../tensorflow/ops/batch-norm.js';
import { plainBatchNormInference, plainBatchNormTraining } from '../tensorflow/ops/plain-batch-norm.js';

function isDouble(x: Tensor<FloatDType>): x is Tensor<'float64'> {
  return x.dtype === 'float64';
}

/** Batch norm by the batch's own statistics, fused where there is a kernel for the dtype. */
export function normTraining<D extends FloatDType>(
  x: Tensor<D>,
  scale: Tensor<'float32'>,
  offset: Tensor<'float32'>,
): BatchNormResult<D> {
  const any: Tensor<FloatDType> = x;
  const normed: BatchNormResult<FloatDType> = isDouble(any)
    ? plainBatchNormTraining(any, scale, offset)
    : batchNormTraining(any, scale, offset);
  return normed as BatchNormResult<D>;
}

/** Batch norm by running statistics. */
export function normInference<D extends FloatDType>(
  x: Tensor<D>,
  parameters: BatchNormParameters,
): Tensor<D> {
  const any: Tensor<FloatDType> = x;
  const normed: Tensor<FloatDType> = isDouble(any)
    ? plainBatchNormInference(any, parameters)
    : batchNormInference(any, parameters);
  return normed as Tensor<D>;
}
