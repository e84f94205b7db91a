/** The element types that Rondo's graphs use, with their numbers in tensorflow/core/framework/types.proto. */
export const dtypeCodes = {
  float32: 1,
  int32: 3,
  uint8: 4,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  resource: 20,
  uint64: 23,
} as const;

export type DType = keyof typeof dtypeCodes;

export type FloatDType = 'float32' | 'bfloat16';

/** Element types that can enter and leave a session, with the JavaScript arrays that carry them. */
export interface ArrayTypes {
  float32: Float32Array;
  int32: Int32Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

export type ArrayDType = keyof ArrayTypes;
