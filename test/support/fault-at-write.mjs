// Loaded into a coordinator by `node --import`. Where the disk is to have the file that RONDO_TEST_WRITE (a regular
// expression) names for the time RONDO_TEST_WRITE_AT (from 0 on), it does what RONDO_TEST_WRITE_FAULT says: "before"
// and "after" kill the process there, another word is the error that the disk reports. Without a fault it adds to
// the file RONDO_TEST_FAULT_FILE what is written.
import fs, { promises } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const {
  RONDO_TEST_WRITE: wanted,
  RONDO_TEST_WRITE_AT: at = '0',
  RONDO_TEST_WRITE_FAULT: fault,
  RONDO_TEST_FAULT_FILE: file,
} = process.env;

if (process.argv[2] === 'start') await install();

async function install() {
  const { appendFileSync, fsyncSync, readlinkSync, renameSync, statSync } = fs;
  const { rename } = promises;
  let count = 0;
  /** Whether it is now, and before the write is done. */
  const isNow = (operation, path) => {
    // As it will be called: what is written is first called .NAME.0123abcd.tmp.
    const name = path.replace(/\.([^/]+)\.[0-9a-f]{8}\.(tmp|old)(?=\/|$)/, '$1');
    if (fault === undefined) appendFileSync(file, `${operation} ${name}\n`);
    const isIt =
      fault !== undefined && new RegExp(wanted).test(`${operation} ${name}`) && count++ === Number(at);
    if (!isIt) return false;
    appendFileSync(file, `${operation} ${name}\n`);
    if (fault === 'before') process.kill(process.pid, 'SIGKILL');
    if (fault === 'after') return true;
    throw Object.assign(new Error(`${fault}: the disk reports an error, ${operation}`), { code: fault });
  };
  const end = (now) => {
    if (now) process.kill(process.pid, 'SIGKILL');
  };
  const pathOf = (descriptor) => {
    const path = readlinkSync(`/proc/self/fd/${descriptor}`);
    return statSync(path).isDirectory() ? null : path;
  };

  fs.fsyncSync = (descriptor) => {
    const path = pathOf(descriptor);
    const now = path !== null && isNow('sync', path);
    fsyncSync(descriptor);
    end(now);
  };
  fs.renameSync = (from, to) => {
    const now = isNow('rename', to);
    renameSync(from, to);
    end(now);
  };
  promises.rename = async (from, to) => {
    const now = isNow('rename', to);
    await rename(from, to);
    end(now);
  };
  const handle = await promises.open('/dev/null');
  const prototype = Object.getPrototypeOf(handle);
  await handle.close();
  const { sync } = prototype;
  prototype.sync = async function () {
    const path = pathOf(this.fd);
    const now = path !== null && isNow('sync', path);
    await sync.call(this);
    end(now);
  };
  syncBuiltinESMExports();
}
