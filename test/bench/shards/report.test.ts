import { expect, it } from 'vitest';
import { format, type Measured, summarize } from '../../../bench/shards/report.js';

const pass = (changes: Partial<Measured>): Measured => ({
  ...{ firstBatchSeconds: 0.1, seconds: 1, cpuSeconds: 2, images: 500 },
  ...{ imageBytes: 20e6, bytes: 20.1e6, ...changes },
});
const own = [pass({}), pass({ seconds: 2 }), pass({ seconds: 0.5 })];

it('compares turn by turn, and says what was sent beyond the images', () => {
  const peer = own.map(({ seconds }) => pass({ seconds: 2 * seconds, cpuSeconds: 3, bytes: 46e6 }));
  const row = summarize('Peer', 'HTTP', 512, peer, own);
  expect(row).toMatchObject({ imagesPerSecond: 250, cpuMs: 6, megabytes: 46, moreMegabytes: 26 });
  expect([row.ratio!.median, row.cpuRatio!.median]).toEqual([2, 1.5]);
  const text = format([summarize('Rondo', 'HTTP', 512, own, null), row]);
  expect(text).toMatch(/^Rondo, HTTP, resumed +500 +500 +1 +4\.00 +1 +0\.10 +20\.1 +0\.1$/m);
  expect(text).toMatch(/^Peer, HTTP, resumed +500 +250 +2\.00 \(2\.00–2\.00\) .* 46\.0 +26\.0$/m);
});

it('says nothing of bytes where none are sent', () => {
  expect(format([summarize('Rondo', 'local', 0, own, null)])).toMatch(/^Rondo, local .* - +-$/m);
});
