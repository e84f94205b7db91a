import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/tiny-run.js';

const program = fileURLToPath(new URL('../../dist/coordinator/main.js', import.meta.url));
const runs = 1500;

it('a reader that takes its time gets all that was printed', async () => {
  const root = temporaryFolder();
  const record = JSON.stringify({ config: { trainCount: 1 }, training: { arch: 'resnet18' } });
  for (let index = 0; index < runs; index += 1) {
    const folder = path.join(root, `run-${String(index).padStart(60, '0')}`);
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'run.json'), record);
  }
  const pipe = '"$0" "$1" runs --json --run-dir "$2" | (sleep 3; cat)';
  const { stdout } = await promisify(execFile)('sh', ['-c', pipe, process.execPath, program, root], {
    maxBuffer: 1 << 24,
  });
  expect(stdout.length).toBeGreaterThan(2 * 65_536);
  expect(stdout.trimEnd().split('\n')).toHaveLength(runs);
});
