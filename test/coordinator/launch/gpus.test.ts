import { describe, expect, it } from 'vitest';
import { parseVisibleDevices } from '../../../coordinator/launch/gpus.js';

describe('parseVisibleDevices', () => {
  it.each([
    ['', []],
    ['-1', []],
    ['0', ['0']],
    ['2, 0,7', ['2', '0', '7']],
    ['1,-1,0', ['1']],
    ['GPU-8932f937-d72c,MIG-GPU-8932/1/0', ['GPU-8932f937-d72c', 'MIG-GPU-8932/1/0']],
    ['none', []],
  ])('reads %j as CUDA does', (list, expected) => {
    expect(parseVisibleDevices(list)).toEqual(expected);
  });
});
