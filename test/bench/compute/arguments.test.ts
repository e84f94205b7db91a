import { describe, expect, it } from 'vitest';
import { parseComputeArguments } from '../../../bench/compute/arguments.js';

const parse = (...args: string[]) =>
  parseComputeArguments('step', { workers: '1x2,4x1', batch: '16', steps: '2' }, args);

describe('parseComputeArguments', () => {
  it("measures the lesson's network in both sizes and both ways to use two cores when told nothing", () => {
    expect(parse()).toEqual({
      sizes: [224, 96],
      workers: [
        { processes: 1, threads: 2 },
        { processes: 4, threads: 1 },
      ],
      batch: 16,
      steps: 2,
      repeats: 5,
      arch: 'resnet34',
      input: 'pixels',
      precision: 'float32',
      device: 'cpu',
      peers: false,
      json: false,
    });
  });

  it('takes lists', () => {
    const parsed = parse('--sizes', '32,64', '--workers', '2x3', '--peers', '--json');
    expect(parsed).toMatchObject({ sizes: [32, 64], workers: [{ processes: 2, threads: 3 }] });
    expect(parsed).toMatchObject({ peers: true, json: true });
  });

  it.each([
    [['--sizes', '96,0'], '--sizes takes positive integers, not 0.'],
    [['--steps', '1.5'], '--steps takes positive integers, not 1.5.'],
    [['--workers', '4'], '--workers takes PROCESSESxTHREADS, as in 4x1, not 4.'],
    [['--workers', '4x1x1'], '--workers takes PROCESSESxTHREADS, as in 4x1, not 4x1x1.'],
    [['--workers', 'x1'], '--workers takes positive integers, not .'],
    [['--arch', 'vgg'], '--arch is one of resnet34, resnet18, not vgg.'],
    [['--input', 'jpeg'], '--input is one of pixels, normalized, not jpeg.'],
    [['--precision', 'float16'], '--precision is one of float32, tf32, bfloat16, not float16.'],
    [['--device', 'tpu'], '--device is one of cpu, gpu, not tpu.'],
    [['--speed'], "Unknown option '--speed'"],
  ])('refuses %j', (args, message) => {
    expect(() => parse(...args)).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message: expect.stringContaining(message),
        remedy: expect.stringContaining('npm run bench -- step'),
      }),
    );
  });
});
