import { describe, expect, it } from 'vitest';
import { parseScalingArguments } from '../../../bench/scaling/arguments.js';

describe('parseScalingArguments', () => {
  it('measures four workers at 96 px when told nothing', () => {
    expect(parseScalingArguments([])).toEqual({
      ...{ workers: [4], size: 96, batch: 64, images: 1280, arch: 'resnet34', wire: 'float32' },
      ...{ repeats: 2, peers: false, json: false },
    });
  });

  it.each([
    [['--workers', '1,0'], '--workers takes positive integers, not 0.'],
    [['--images', '100'], '--images must be six times --batch or more.'],
    [['--wire', 'int8'], '--wire is one of float32, bfloat16, not int8.'],
  ])('refuses %j', (args, message) => {
    expect(() => parseScalingArguments(args)).toThrow(message);
  });
});
