import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/tiny-run.js';

const program = fileURLToPath(new URL('../../dist/coordinator/main.js', import.meta.url));

/** Runs a shell's command line in which `coordinator` is the compiled program. */
function runShell(line: string): Promise<{ code: number | null; stderr: string }> {
  const script = `coordinator() { "${process.execPath}" "${program}" "$@"; }; ${line}`;
  const child = spawn('/bin/bash', ['-o', 'pipefail', '-c', script], {
    cwd: temporaryFolder(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stderr })));
}

it('takes no offence at a reader that leaves, nor at output or errors that are closed', async () => {
  for (const line of [
    'coordinator start --help | true',
    'coordinator runs | head -c 0',
    'coordinator runs 2>&-',
  ]) {
    expect(await runShell(line), line).toEqual({ code: 0, stderr: '' });
  }
});

it.skipIf(!existsSync('/dev/full'))('says in a sentence that its output has no room, and fails', async () => {
  const { code, stderr } = await runShell('coordinator start --help > /dev/full');
  expect(stderr).toBe(
    'error: cannot write to standard output: there is no room where it goes\n' +
      '  free some space there, or send the output elsewhere; the command goes on without it\n',
  );
  expect(code).toBe(1);
});

it('names the folder for temporary files that is not there', async () => {
  const missing = path.join(temporaryFolder(), 'missing');
  const { code, stderr } = await runShell(
    `TMPDIR='${missing}' coordinator show-batch --data sample --size 32`,
  );
  expect(stderr).toContain(`error: cannot write to ${missing}, the folder for temporary files`);
  expect(stderr).toContain('set TMPDIR to a folder');
  expect(stderr.trim().split('\n').at(-2)).toMatch(/^error: /);
  expect(code).toBe(3);
});
