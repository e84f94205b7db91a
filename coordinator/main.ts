#!/usr/bin/env node
import { openLifecycle } from '../runtime/lifecycle.js';
import { printError } from './cli/print-error.js';
import { buildProgram, translateUsageError } from './cli/program.js';
import { localServices } from './local-services.js';

// The reader of a pipe may leave before the end (`| head`), and a terminal be closed: that is no error of the run.
const readerIsGone = new Set(['EPIPE', 'EIO']);
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (!readerIsGone.has(error.code ?? '')) throw error;
  });
}

const program = buildProgram({
  services: localServices,
  output: process.stdout,
  argv: process.argv,
  openLifecycle,
  exit(code) {
    process.exitCode = code;
  },
});

try {
  await program.parseAsync(process.argv);
} catch (thrown) {
  const error = translateUsageError(thrown);
  const debug = ['debug', 'trace'].includes(process.env.RONDO_LOG ?? '');
  if (error !== null) {
    process.exitCode = printError(error, { json: process.argv.includes('--json'), debug }, process);
  }
}
// A pipe holds 64 KiB: what a slow reader has not taken yet must not end with the process.
await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
// Whatever a dependency still holds open must not keep a finished program alive.
process.exit();
