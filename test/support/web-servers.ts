import { execFileSync, spawn } from 'node:child_process';
import { connect } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import { freePort } from '../../bench/support/free-port.js';
import { temporaryFolder } from './tiny-run.js';

/** Python's own web server, which gives whole files only. Gone when the test ends, as the other. */
export function startPythonServer(folder: string): Promise<string> {
  return start((port) => [
    ...['python3', '-m', 'http.server', String(port)],
    ...['--bind', '127.0.0.1', '--directory', folder],
  ]);
}

/** Go's own, which gives parts of files, and no ETags. */
export function startGoServer(folder: string): Promise<string> {
  const program = path.join(temporaryFolder(), 'file-server');
  const source = fileURLToPath(new URL('file-server.go', import.meta.url));
  execFileSync('go', ['build', '-o', program, source], { stdio: ['ignore', 'ignore', 'inherit'] });
  return start((port) => [program, `127.0.0.1:${port}`, folder]);
}

async function start(commandOf: (port: number) => readonly string[]): Promise<string> {
  const port = await freePort();
  const [program, ...inputs] = commandOf(port);
  const server = spawn(program!, inputs, { stdio: 'ignore' });
  onTestFinished(() => void server.kill('SIGKILL'));
  const listens = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
  await expect.poll(listens).toBe(true);
  return `http://127.0.0.1:${port}`;
}
