/** The element types that Rondo's graphs use, with their numbers in tensorflow/core/framework/types.proto. */
export const dtypeCodes = {
  float32: 1,
  float64: 2,
  int32: 3,
  uint8: 4,
  string: 7,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  resource: 20,
  uint64: 23,
} as const;

export type DType = keyof typeof dtypeCodes;

export const floats = ['float32', 'float64', 'bfloat16'] as const;

export type FloatDType = (typeof floats)[number];

/** Element types that can enter and leave a session, with the JavaScript arrays that carry them. */
export interface ArrayTypes {
  float32: Float32Array;
  int32: Int32Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

export type ArrayDType = keyof ArrayTypes;

/** Element types that a run can be given. */
export type FedDType = 'float32' | 'int32' | 'uint8';
