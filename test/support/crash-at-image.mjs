// Loaded into every process of a run by `node --import`. A process that verifies images ends itself by the signal
// RONDO_TEST_CRASH when it reads a file whose path holds RONDO_TEST_CRASH_AT; only once where RONDO_TEST_CRASH_ONCE
// names a file, which it makes then.
import { closeSync, openSync, promises } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { RONDO_TEST_CRASH: signal, RONDO_TEST_CRASH_AT: at, RONDO_TEST_CRASH_ONCE: once } = process.env;

if (process.argv[1]?.endsWith('verifier-process.js') && signal !== undefined) {
  const { readFile } = promises;
  promises.readFile = async (file, ...more) => {
    if (String(file).includes(at) && isTime()) process.kill(process.pid, signal);
    return readFile(file, ...more);
  };
  syncBuiltinESMExports();
}

function isTime() {
  if (once === undefined) return true;
  try {
    closeSync(openSync(once, 'wx'));
    return true;
  } catch {
    return false;
  }
}
