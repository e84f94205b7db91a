import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { DeviceReport } from '../../bench/device/report.js';

const bench = resolve('dist/bench/main.js');
const small = ['--size', '64', '--batches', '4', '--steps', '1', '--repeats', '1', '--threads', '2'];

test('the device bench passes on the CPU, and keeps what it has measured', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'rondo-device-'));
  try {
    const args = [bench, 'device', '--device', 'cpu', '--precisions', 'float32', ...small];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd });
    expect(stdout).toMatch(/^passed$/m);
    const [file] = readdirSync(join(cwd, 'bench-results'));
    const report = JSON.parse(readFileSync(join(cwd, 'bench-results', file!), 'utf8')) as DeviceReport;
    expect(report.correctness[0]!.kinds.map(({ kind, met }) => [kind, met])).toEqual(
      ['gradients', 'statistics', 'parameters', 'running', 'evaluation'].map((kind) => [kind, true]),
    );
    expect(report.repeatability).toEqual([{ precision: 'float32', sameBits: true }]);
    expect(report.speeds.map(({ name, batch }) => [name, batch])).toEqual([['rondo', 4]]);
    expect(report.handOver!.times.rounds).toHaveLength(3);
    expect(report).toMatchObject({ passed: true, leftOut: [], probe: { device: 'cpu', card: null } });
  } finally {
    rmSync(cwd, { recursive: true });
  }
});
