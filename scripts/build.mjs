import { compile } from './setup/compile.mjs';
import { SetupError } from './setup/errors.mjs';

/** `npm run build`: compiles what has changed and makes the programs commands. */
try {
  await compile();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`build: ${error.message}\n  → ${error.remedy}\n`);
  process.exitCode = 1;
}
