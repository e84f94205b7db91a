import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { abortReason, sleep, withDeadline } from '../../runtime/deadline.js';
import { cannotWrite } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import { installation } from '../../runtime/installation.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { findLeftBehind, type LeftBehind } from './left-behind.js';

export interface NatsServer {
  /** nats://127.0.0.1:PORT */
  readonly url: string;
  readonly token: string;
  readonly port: number;
  readonly pid: number;
  /** Of what ends the server when this process is gone. */
  readonly guardPid: number;
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** SIGTERM, and SIGKILL 5 s later. Resolves when the process has ended. May be called twice. */
  close(): Promise<void>;
}

const readyTimeoutMs = 20_000;
const closeTimeoutMs = 5000;
/** How often the log of a server that starts is read. */
const lookMs = 50;

/**
 * Starts a NATS server with JetStream on a loopback port, with a token, storing in `storeDir`. It is in a
 * process group of its own, so that Ctrl-C does not end it before the run, and it ends with this process, or
 * `outlivesMs` after it, however that comes about, or when `signal` aborts.
 *
 * @param o.earlier one that a process started which has died since: if it still runs, it is taken over.
 * @param o.outlivesMs default: 0.
 * @param o.port default: a free one.
 * @param o.token default: a random one.
 * @throws RondoError failed-precondition when there is no nats-server on this machine or it does not start.
 */
export async function startNatsServer(o: {
  storeDir: string;
  signal: AbortSignal;
  port?: number;
  token?: string;
  earlier?: EarlierServer | null;
  outlivesMs?: number;
}): Promise<NatsServer> {
  const executable = installation().natsServer;
  if (executable === null) throw missing();
  if (o.signal.aborted) throw abortReason(o.signal, 'starting nats-server');
  const { earlier = null, outlivesMs = 0 } = o;
  const left = earlier && takeOver(earlier, o.storeDir);
  if (earlier !== null && left) return guardLeft(earlier, left, { outlivesMs, signal: o.signal });
  const token = o.token ?? randomBytes(24).toString('hex');
  const config = await writeConfig({ storeDir: o.storeDir, token, port: o.port ?? -1 }).catch(
    (error: unknown) => {
      throw cannotWrite(o.storeDir, error);
    },
  );

  // A file, for a pipe to this process would end the server with its first line after this process's end.
  const logPath = join(o.storeDir, 'nats-server.log');
  const log = openSync(logPath, 'w');
  const server = spawn(executable, ['--config', config], {
    stdio: ['ignore', 'ignore', log],
    detached: true,
  });
  closeSync(log);
  const exited = once(server, 'exit').then(
    () => {},
    () => {},
  );
  const guard = guardProcess(server.pid ?? 0, exited, outlivesMs);
  const allExited = guard.ended;
  const close = async () => {
    await endProcess(server, exited);
    await allExited;
  };
  const onAbort = () => void close();
  o.signal.addEventListener('abort', onAbort, { once: true });
  void exited.then(() => o.signal.removeEventListener('abort', onAbort));
  try {
    const what = 'starting nats-server';
    const ready = readPort(server, exited, logPath, executable);
    const port = await withDeadline(ready, { timeoutMs: readyTimeoutMs, what, signal: o.signal });
    const url = `nats://127.0.0.1:${port}`;
    return { url, token, port, pid: server.pid ?? 0, guardPid: guard.pid, exited: allExited, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function configIn(storeDir: string): string {
  return join(storeDir, 'nats-server.conf');
}

/** The token stands in a file that only this user reads; on the command line everybody would. */
async function writeConfig(o: { storeDir: string; token: string; port: number }): Promise<string> {
  makeFolder(o.storeDir);
  const file = configIn(o.storeDir);
  const lines = [
    `listen: "127.0.0.1:${o.port}"`,
    `authorization { token: ${JSON.stringify(o.token)} }`,
    `jetstream { store_dir: ${JSON.stringify(o.storeDir)} }`,
  ];
  await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  return file;
}

/** The server's log says which port it has and when it is ready. */
async function readPort(
  server: ChildProcess,
  exited: Promise<void>,
  logPath: string,
  executable: string,
): Promise<number> {
  let startError: Error | null = null;
  server.once('error', (error) => {
    startError = error;
  });
  let hasExited = false;
  void exited.then(() => {
    hasExited = true;
  });
  for (;;) {
    // Its last lines are there when it has ended.
    const isLast = hasExited;
    const lines = (await readFile(logPath, 'utf8')).split('\n').filter((line) => line !== '');
    const port = lines
      .map((line) => /Listening for client connections on .*:(\d+)$/.exec(line)?.[1])
      .find((found) => found !== undefined);
    if (port !== undefined && lines.some((line) => line.includes('Server is ready'))) return Number(port);
    if (isLast) {
      const complaints = lines.filter((line) => /\[(FTL|ERR)\]/.test(line) || !/^\[\d+\]/.test(line));
      const failure = startError as Error | null;
      if (failure !== null) complaints.push(failure.message);
      throw doesNotStart(executable, complaints, server.exitCode ?? server.signalCode);
    }
    await sleep(lookMs);
  }
}

/** Where a server of an earlier process is. */
export type EarlierServer = Pick<NatsServer, 'port' | 'token' | 'pid' | 'guardPid'>;

function takeOver({ pid }: EarlierServer, storeDir: string): LeftBehind | null {
  return findLeftBehind(pid, ['--config', configIn(storeDir)]);
}

/** It ends as if this process had started it. */
function guardLeft(
  earlier: EarlierServer,
  server: LeftBehind,
  { outlivesMs, signal }: { readonly outlivesMs: number; readonly signal: AbortSignal },
): NatsServer {
  const guard = guardProcess(server.pid, server.ended, outlivesMs);
  // Only now: the server is never without one. With all of its group, for it may wait in a sleep.
  if (findLeftBehind(earlier.guardPid, ['/bin/sh', '-c'])) process.kill(-earlier.guardPid, 'SIGKILL');
  const close = async () => {
    server.kill('SIGTERM');
    const timer = setTimeout(() => server.kill('SIGKILL'), closeTimeoutMs);
    await guard.ended;
    clearTimeout(timer);
  };
  const onAbort = () => void close();
  signal.addEventListener('abort', onAbort, { once: true });
  void server.ended.then(() => signal.removeEventListener('abort', onAbort));
  const { port, token, pid } = earlier;
  const url = `nats://127.0.0.1:${port}`;
  return { url, token, port, pid, guardPid: guard.pid, exited: guard.ended, close };
}

/**
 * A shell that holds the reading end of a pipe from this process: when this process is gone, even by SIGKILL,
 * the pipe closes and the shell ends the server. When the server ends first the shell does too, before the
 * pid can be another's. `ended` resolves when both have.
 */
function guardProcess(
  pid: number,
  exited: Promise<void>,
  outlivesMs: number,
): { readonly pid: number; readonly ended: Promise<void> } {
  if (pid === 0) return { pid, ended: exited };
  const script = `read line; sleep ${Math.ceil(outlivesMs / 1_000)}; kill -TERM ${pid}`;
  const guard = spawn('/bin/sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  guard.on('error', () => {});
  const guardExited = once(guard, 'exit').catch(() => {});
  const ended = exited.then(async () => {
    guard.kill('SIGKILL');
    await guardExited;
  });
  return { pid: guard.pid ?? 0, ended };
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
