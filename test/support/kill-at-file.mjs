// Loaded by `node --import`. Kills the process at one of its calls of the file system: RONDO_TEST_KILL names the call,
// "before" or "after" it, and which one it is, from 1 on.
import fs, { promises } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const [wanted, when, number] = process.env.RONDO_TEST_KILL.split(' ');
let count = 0;

const handle = await promises.open('/dev/null');
const handles = Object.getPrototypeOf(handle);
await handle.close();
const owners = { write: handles, rename: promises, rmSync: fs };

const owner = owners[wanted];
const call = owner[wanted];
const kill = () => process.kill(process.pid, 'SIGKILL');
owner[wanted] = function (...inputs) {
  count += 1;
  if (count !== Number(number)) return call.apply(this, inputs);
  if (when === 'before') kill();
  const result = call.apply(this, inputs);
  if (!(result instanceof Promise)) return kill();
  return result.finally(kill);
};
syncBuiltinESMExports();
