import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { abortReason, withDeadline } from '../../runtime/deadline.js';
import { cannotWrite } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import { installation } from '../../runtime/installation.js';
import { makeFolder } from '../../runtime/make-folder.js';

export interface NatsServer {
  /** nats://127.0.0.1:PORT */
  readonly url: string;
  readonly token: string;
  readonly pid: number;
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** SIGTERM, and SIGKILL 5 s later. Resolves when the process has ended. May be called twice. */
  close(): Promise<void>;
}

const readyTimeoutMs = 20_000;
const closeTimeoutMs = 5000;

/**
 * Starts a NATS server with JetStream on a loopback port, with a token, storing in `storeDir`. It is in a
 * process group of its own, so that Ctrl-C does not end it before the run, and it ends when this process
 * does, however that comes about, or when `signal` aborts.
 *
 * @param o.port default: a free one.
 * @param o.token default: a random one.
 * @throws RondoError failed-precondition when there is no nats-server on this machine or it does not start.
 */
export async function startNatsServer(o: {
  storeDir: string;
  signal: AbortSignal;
  port?: number;
  token?: string;
}): Promise<NatsServer> {
  const executable = installation().natsServer;
  if (executable === null) throw missing();
  if (o.signal.aborted) throw abortReason(o.signal, 'starting nats-server');
  const token = o.token ?? randomBytes(24).toString('hex');
  const config = await writeConfig({ storeDir: o.storeDir, token, port: o.port ?? -1 }).catch(
    (error: unknown) => {
      throw cannotWrite(o.storeDir, error);
    },
  );

  const server = spawn(executable, ['--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  const exited = once(server, 'exit').then(
    () => {},
    () => {},
  );
  const allExited = guardProcess(server, exited);
  const close = async () => {
    await endProcess(server, exited);
    await allExited;
  };
  const onAbort = () => void close();
  o.signal.addEventListener('abort', onAbort, { once: true });
  void exited.then(() => o.signal.removeEventListener('abort', onAbort));
  try {
    const what = 'starting nats-server';
    const ready = readPort(server, executable);
    const port = await withDeadline(ready, { timeoutMs: readyTimeoutMs, what, signal: o.signal });
    return { url: `nats://127.0.0.1:${port}`, token, pid: server.pid ?? 0, exited: allExited, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The token stands in a file that only this user reads; on the command line everybody would. */
async function writeConfig(o: { storeDir: string; token: string; port: number }): Promise<string> {
  makeFolder(o.storeDir);
  const file = join(o.storeDir, 'nats-server.conf');
  const lines = [
    `listen: "127.0.0.1:${o.port}"`,
    `authorization { token: ${JSON.stringify(o.token)} }`,
    `jetstream { store_dir: ${JSON.stringify(o.storeDir)} }`,
  ];
  await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  return file;
}

/**
 * The server's log says which port it has and when it is ready; the rest of the log is read and discarded.
 */
function readPort(server: ChildProcess, executable: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const complaints: string[] = [];
    let port: number | null = null;
    const lines = createInterface({ input: server.stderr! });
    lines.on('line', (line) => {
      const listening = /Listening for client connections on .*:(\d+)$/.exec(line);
      if (listening !== null) port = Number(listening[1]);
      if (/\[(FTL|ERR)\]/.test(line) || !/^\[\d+\]/.test(line)) complaints.push(line);
      if (line.includes('Server is ready') && port !== null) resolve(port);
    });
    // `close` comes after the last line has been read, `exit` may not.
    server.once('close', (code, signal) => reject(doesNotStart(executable, complaints, code ?? signal)));
    server.once('error', (error) => reject(doesNotStart(executable, [error.message], null)));
  });
}

/**
 * A shell that holds the reading end of a pipe from this process: when this process is gone, even by SIGKILL,
 * the pipe closes and the shell ends the server. When the server ends first the shell does too, before the
 * pid can be another's. Resolves when both have ended.
 */
function guardProcess(server: ChildProcess, exited: Promise<void>): Promise<void> {
  if (server.pid === undefined) return exited;
  const guard = spawn('/bin/sh', ['-c', `read line; kill -TERM ${server.pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.on('error', () => {});
  const guardExited = once(guard, 'exit').catch(() => {});
  return exited.then(async () => {
    guard.kill('SIGKILL');
    await guardExited;
  });
}

async function endProcess(server: ChildProcess, exited: Promise<void>): Promise<void> {
  if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
  server.kill('SIGTERM');
  const timer = setTimeout(() => server.kill('SIGKILL'), closeTimeoutMs);
  await exited;
  clearTimeout(timer);
}

function missing(): RondoError {
  return new RondoError('failed-precondition', 'there is no nats-server on this machine', {
    remedy:
      'Run `npm run setup`, put nats-server on PATH, name one in RONDO_NATS_SERVER, or use a server that runs with --nats URL.',
  });
}

function doesNotStart(executable: string, complaints: readonly string[], code: unknown): RondoError {
  const why = complaints.at(-1) ?? `it ended with ${code}`;
  return new RondoError('failed-precondition', `${executable} does not start: ${why}`, {
    remedy: 'Run it by hand to see more, or name another one in RONDO_NATS_SERVER.',
  });
}
