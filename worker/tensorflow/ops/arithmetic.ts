import { type DType, type FloatDType, floats } from '../dtype.js';
import { output, type Tensor } from '../graph.js';
import { broadcastShapes } from '../shape.js';
import { check, checkDType, checkSameDType } from './checks.js';

const numeric = [...floats, 'int32'] as const;

type Numeric = (typeof numeric)[number];

function binary<D extends Numeric>(op: string, a: Tensor<D>, b: Tensor<D>): Tensor<D> {
  checkSameDType(op, a, b);
  checkDType(op, numeric, a);
  const shape = broadcastShapes(a.shape, b.shape);
  check(shape !== undefined, op, 'shapes do not broadcast', a, b);
  const attributes = { T: { kind: 'type', value: a.dtype } } as const;
  return output(a.node.graph.add({ op, inputs: [a, b], attributes, outputs: [{ dtype: a.dtype, shape }] }));
}

function unary<D extends Numeric>(op: string, x: Tensor<D>): Tensor<D> {
  checkDType(op, numeric, x);
  const attributes = { T: { kind: 'type', value: x.dtype } } as const;
  return output(
    x.node.graph.add({ op, inputs: [x], attributes, outputs: [{ dtype: x.dtype, shape: x.shape }] }),
  );
}

export const add = <D extends Numeric>(a: Tensor<D>, b: Tensor<D>): Tensor<D> => binary('AddV2', a, b);
export const subtract = <D extends Numeric>(a: Tensor<D>, b: Tensor<D>): Tensor<D> => binary('Sub', a, b);
export const multiply = <D extends Numeric>(a: Tensor<D>, b: Tensor<D>): Tensor<D> => binary('Mul', a, b);
/** a / b, element by element; floats only. */
export const divide = <D extends FloatDType>(a: Tensor<D>, b: Tensor<D>): Tensor<D> =>
  binary('RealDiv', a, b);
export const minimum = <D extends Numeric>(a: Tensor<D>, b: Tensor<D>): Tensor<D> => binary('Minimum', a, b);
export const maximum = <D extends Numeric>(a: Tensor<D>, b: Tensor<D>): Tensor<D> => binary('Maximum', a, b);
export const negate = <D extends Numeric>(x: Tensor<D>): Tensor<D> => unary('Neg', x);
/** Natural logarithm. */
export const log = (x: Tensor<'float32'>): Tensor<'float32'> => unary('Log', x);
export const exp = (x: Tensor<'float32'>): Tensor<'float32'> => unary('Exp', x);

function compare(op: string, a: Tensor, b: Tensor): Tensor<'bool'> {
  checkSameDType(op, a, b);
  const shape = broadcastShapes(a.shape, b.shape);
  check(shape !== undefined, op, 'shapes do not broadcast', a, b);
  const attributes = { T: { kind: 'type', value: a.dtype } } as const;
  const outputs = [{ dtype: 'bool', shape }] as const;
  return output(a.node.graph.add({ op, inputs: [a, b], attributes, outputs }));
}

export const equal = <D extends DType>(a: Tensor<D>, b: Tensor<D>): Tensor<'bool'> => compare('Equal', a, b);
/** a ≥ b */
export const greaterEqual = <D extends Numeric>(a: Tensor<D>, b: Tensor<D>): Tensor<'bool'> =>
  compare('GreaterEqual', a, b);

/** True where a value is neither infinite nor NaN. */
export function finite(x: Tensor<'float32'>): Tensor<'bool'> {
  checkDType('IsFinite', ['float32'], x);
  const attributes = { T: { kind: 'type', value: x.dtype } } as const;
  const outputs = [{ dtype: 'bool', shape: x.shape }] as const;
  return output(x.node.graph.add({ op: 'IsFinite', inputs: [x], attributes, outputs }));
}

/** The largest whole number that is not above each value. */
export const floor = <D extends FloatDType>(x: Tensor<D>): Tensor<D> => unary('Floor', x);
/** The nearest whole number, of two the even one. */
export const round = <D extends FloatDType>(x: Tensor<D>): Tensor<D> => unary('Round', x);
export const abs = <D extends FloatDType>(x: Tensor<D>): Tensor<D> => unary('Abs', x);
export const zerosLike = <D extends Numeric>(x: Tensor<D>): Tensor<D> => unary('ZerosLike', x);
/** 1 / √x */
export const reciprocalRoot = <D extends FloatDType>(x: Tensor<D>): Tensor<D> => unary('Rsqrt', x);
