#!/usr/bin/env node
import { openLifecycle } from '../runtime/lifecycle.js';
import { isLogged, openLog } from '../runtime/log.js';
import { guardOutput, printError } from './cli/process-output.js';
import { buildProgram, translateUsageError } from './cli/program.js';
import { localServices } from './local-services.js';

const output = guardOutput(process.stdout, process.stderr);

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
  openLog({ program: 'coordinator' });
  await program.parseAsync(process.argv);
} catch (thrown) {
  const error = translateUsageError(thrown);
  if (error !== null) {
    const debug = isLogged('debug');
    process.exitCode = printError(error, { json: process.argv.includes('--json'), debug }, process);
  }
}
// A pipe holds 64 KiB: what a slow reader has not taken yet must not end with the process.
await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
// The exit code tells the reader that some of the output is missing.
if (output.lost && !process.exitCode) process.exitCode = 1;
// Whatever a dependency still holds open must not keep a finished program alive.
process.exit();
