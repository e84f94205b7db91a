// Loaded by `node --import`. Kills the process at one of its calls of the file system: RONDO_TEST_KILL names the call,
// "before" or "after" it, and which one it is, from 1 on. Calls may overlap: before the n-th n − 1 have begun; after it
// n have ended and no other has begun, since later ones are held.
import fs, { promises } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const [wanted, when, ordinal] = process.env.RONDO_TEST_KILL.split(' ');
const number = Number(ordinal);
let [begun, ended] = [0, 0];

const handle = await promises.open('/dev/null');
const handles = Object.getPrototypeOf(handle);
await handle.close();
const owners = { write: handles, rename: promises, rmSync: fs };

const owner = owners[wanted];
const call = owner[wanted];
const kill = () => process.kill(process.pid, 'SIGKILL');
const end = () => {
  ended += 1;
  if (when === 'after' && ended === number) kill();
};
owner[wanted] = function (...inputs) {
  begun += 1;
  if (when === 'before' && begun === number) kill();
  if (when === 'after' && begun > number) return new Promise(() => {});
  const result = call.apply(this, inputs);
  if (result instanceof Promise) return result.finally(end);
  end();
  return result;
};
syncBuiltinESMExports();
