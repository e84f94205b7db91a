import { describe, expect, it } from 'vitest';
import { parseAllReduceArguments } from '../../../bench/all-reduce/arguments.js';

describe('parseAllReduceArguments', () => {
  it('sums both sizes of a ResNet34’s gradients over four ranks when told nothing', () => {
    expect(parseAllReduceArguments([])).toEqual({
      ...{ ranks: 4, megabytes: [87, 2.2], wires: ['float32', 'bfloat16'], lanes: 1 },
      ways: ['vectors', 'slots', 'sockets', 'sockets-tls', 'grpc', 'grpc-tls'],
      ...{ hosts: null, rate: null },
      ...{ rounds: 20, repeats: 3, peers: false, json: false },
    });
  });

  it.each([
    [['--ranks', '1'], '--ranks must be at least 2.'],
    [['--megabytes', '87,0'], '--megabytes must be positive numbers.'],
    [['--wires', 'int8'], '--wires is one of float32, bfloat16, not int8.'],
    [
      ['--rate', '125', '--ways', 'slots'],
      '--ways is one of sockets, sockets-tls, grpc, grpc-tls, not slots.',
    ],
    [['--hosts', '2', '--ways', 'sockets'], '--ways is one of vectors, vectors-tls, slots, not sockets.'],
    [['--hosts', '5'], '--hosts is from 2 to --ranks.'],
    [['--hosts', '1'], '--hosts is from 2 to --ranks.'],
    [['--rounds', '0'], '--rounds takes positive integers, not 0.'],
  ])('refuses %j', (args, message) => {
    expect(() => parseAllReduceArguments(args)).toThrow(message);
  });
});
