import { describe, expect, it } from 'vitest';
import { parseOverlapArguments } from '../../../bench/overlap/arguments.js';

describe('parseOverlapArguments', () => {
  it('measures four ranks on links of 200 MB/s when told nothing', () => {
    expect(parseOverlapArguments([])).toEqual({
      ...{ ranks: 4, threads: 1, arch: 'resnet34', size: 224, batch: 16, rate: 200 },
      ...{ wires: ['float32', 'bfloat16'], tls: false, steps: 2, repeats: 3, peers: false, json: false },
    });
  });

  it.each([
    [['--ranks', '1'], '--ranks must be 2 to 250.'],
    [['--rate', '0.5'], '--rate takes positive integers, not 0.5.'],
    [['--wires', 'float32,int8'], '--wires is one of float32, bfloat16, not int8.'],
    [['--arch', 'vgg'], '--arch is one of resnet34, resnet18, resnet50, not vgg.'],
    [['--rounds', '2'], "Unknown option '--rounds'"],
  ])('refuses %j', (args, message) => {
    expect(() => parseOverlapArguments(args)).toThrow(message);
  });
});
