import { expect, it } from 'vitest';
import { parseDeviceArguments } from '../../../bench/device/arguments.js';
import { type DeviceReport, formatReport } from '../../../bench/device/report.js';

const quantiles = (median: number) => ({ p10: median, median, p90: median });

const report: DeviceReport = {
  bench: 'device',
  environment: {
    commit: 'abc',
    processor: 'P',
    cores: 2,
    memoryBytes: 2 ** 34,
    system: 'linux',
    node: 'v20',
  },
  probe: { device: 'gpu', card: 'NVIDIA H100', tensorflow: '2.21.0', obstacles: [] },
  size: 224,
  correctness: [
    {
      precision: 'tf32',
      kinds: [{ kind: 'gradients', all: 0.5, worst: 0.7, where: 'conv1.weight', bound: 0.3, met: false }],
    },
  ],
  repeatability: [{ precision: 'tf32', sameBits: false }],
  speeds: [
    {
      ...{ name: 'rondo', precision: 'tf32', batch: 64, coresBusy: 0.9, ratio: null },
      imagesPerSecond: quantiles(3200),
    },
    {
      ...{ name: 'torch, channels_last', precision: 'tf32', batch: 64, coresBusy: 1, ratio: quantiles(1.25) },
      imagesPerSecond: quantiles(2560),
    },
  ],
  handOver: {
    batch: 64,
    times: {
      stateBytes: 262e6,
      vectorBytes: 87e6,
      rounds: [20, 30].map((save) => ({
        ...{ save, load: 10, gradients: 40, update: 8, keptGradients: 20, keptUpdate: 2 },
      })),
    },
  },
  leftOut: ['float32: measuring images/s'],
  peers: { torch: '2.11.0' },
  passed: false,
};

it('prints every part, what there was no time for, and the verdict', () => {
  const text = formatReport(report);
  expect(text).toMatch(/^device: NVIDIA H100, TensorFlow 2\.21\.0\n.*torch 2\.11\.0$/m);
  expect(text).toMatch(/^tf32, gradients +5\.0e-1 +3\.0e-1 +no +7\.0e-1 +conv1\.weight$/m);
  expect(text).toMatch(/^tf32 +no$/m);
  expect(text).toMatch(/^rondo, tf32 +64 +3200\.0 +3200\.0 +3200\.0 +20\.0 +0\.90 *$/m);
  expect(text).toMatch(/^torch, channels_last, tf32 +64 +2560\.0 .* 25\.0 +1\.00 +1\.25 +1\.25 +1\.25$/m);
  expect(text).toMatch(/^the whole state to the host +25\.0 +10\.5 GB\/s$/m);
  expect(text).toMatch(/^update from there +2\.0 *$/m);
  expect(text).toContain('no time for: float32: measuring images/s');
  expect(text).toMatch(/FAILED: see `no` above$/);
});

it('takes lists and bounds, and refuses what it does not know', () => {
  expect(parseDeviceArguments(['--batches', '8,4', '--precisions', 'tf32', '--minutes', '4'])).toMatchObject({
    batches: [8, 4],
    precisions: ['tf32'],
    minutes: 4,
    device: 'auto',
    store: null,
  });
  expect(() => parseDeviceArguments(['--precisions', 'float16'])).toThrow('float16');
  expect(() => parseDeviceArguments(['--minutes', '0'])).toThrow('--minutes');
});
