import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { makeFolder } from './files.mjs';
import { findPython } from './python.mjs';

/**
 * Holds the lock until its standard input ends, which it does when this process does, however that happens.
 * In Python, which set-up needs anyway: Node has no flock, and the package that brings it to the programs is
 * not there yet.
 */
const holder = `
import fcntl, sys
file = open(sys.argv[1], "a+")
try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("waiting", flush=True)
    fcntl.flock(file, fcntl.LOCK_EX)
file.truncate(0)
file.write(sys.argv[2])
file.flush()
print("held", flush=True)
sys.stdin.read()
`;

/**
 * Runs `work` while no other process holds the lock file; waits for one that does. The kernel releases the
 * lock of a holder that has died.
 *
 * @template T
 * @param {string} file
 * @param {{ onWait(holder: string): void }} listener called once if there is a wait
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(file, listener, work) {
  makeFolder(dirname(file));
  const python = await findPython(process.env);
  const name = `process ${process.pid} on ${hostname()}`;
  // A group of its own: a terminal's Ctrl-C reaches this process, which ends in order.
  const child = spawn(python, ['-c', holder, file, name], {
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  child.stdin.on('error', () => {});
  try {
    let held = false;
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'waiting') listener.onWait(readFileSync(file, 'utf8') || 'another process');
      held = line === 'held';
      if (held) break;
    }
    if (!held) throw new Error(`cannot lock ${file}: ${python} ended with ${(await ended)[0]}`);
    return await work();
  } finally {
    child.stdin.end();
    await ended;
  }
}
