import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { abortReason, sleep, withDeadline } from '../../runtime/deadline.js';
import { cannotWrite } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import { formatHostPort, isWildcard } from '../../runtime/host-port.js';
import { installation } from '../../runtime/installation.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { type Guard, guardProcess } from './guard-process.js';
import { findLeftBehind, type LeftBehind } from './left-behind.js';
import { type NatsAccess, natsConfigIn, writeNatsConfig } from './nats-config.js';

export interface NatsServer {
  /** nats://127.0.0.1:PORT; tls://HOST:PORT for one that asks for certificates. */
  readonly url: string;
  readonly port: number;
  /** Empty for one that asks for certificates. */
  readonly token: string;
  /** Other members may connect from now on, or the coordinator's certificate was renewed. */
  reload(certificates: NatsCertificates): void;
  readonly pid: number;
  /** Of what ends the server when this process is gone. */
  readonly guardPid: number;
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** It is recorded where another process finds it: from now on it outlives this one. */
  outlive(): void;
  /** SIGTERM, and SIGKILL 5 s later. Resolves when the process has ended. May be called twice. */
  close(): Promise<void>;
}

export type NatsCertificates = Omit<Extract<NatsAccess, { kind: 'certificates' }>, 'kind'>;

const readyTimeoutMs = 20_000;
const closeTimeoutMs = 5000;
/** How often the log of a server that starts is read. */
const lookMs = 50;

/**
 * Starts a NATS server with JetStream on a loopback port, with a token, storing in `storeDir`. It is in a
 * process group of its own, so that Ctrl-C does not end it before the run, and it ends with this process, or
 * `outlivesMs` after it once `outlive` was called, however that comes about, or when `signal` aborts.
 *
 * @param o.earlier one that a process started which has died since: if it still runs, it is taken over.
 * @param o.outlivesMs default: 0.
 * @param o.port default: a free one.
 * @param o.token default: a random one.
 * @param o.certificates asked for instead of a token, on their host instead of loopback.
 * @throws RondoError failed-precondition when there is no nats-server on this machine or it does not start.
 */
export async function startNatsServer(o: {
  storeDir: string;
  signal: AbortSignal;
  port?: number;
  token?: string;
  earlier?: EarlierServer | null;
  outlivesMs?: number;
  certificates?: NatsCertificates | undefined;
}): Promise<NatsServer> {
  const executable = installation().natsServer;
  if (executable === null) throw missing();
  if (o.signal.aborted) throw abortReason(o.signal, 'starting nats-server');
  const { storeDir, certificates, earlier = null, outlivesMs = 0 } = o;
  const configure = (port: number, access: NatsAccess): string => {
    try {
      makeFolder(storeDir, { mode: 0o700 });
      return writeNatsConfig(storeDir, port, access);
    } catch (error) {
      throw cannotWrite(storeDir, error);
    }
  };
  /** How members reach the server, and how it is told of others. */
  const reachedAt = (port: number, server: { kill(signal: 'SIGHUP'): unknown }) => ({
    url: urlOf(port, certificates),
    reload(renewed: NatsCertificates) {
      configure(port, { kind: 'certificates', ...renewed });
      server.kill('SIGHUP');
    },
  });
  const left = earlier && takeOver(earlier, storeDir);
  if (earlier !== null && left) {
    return {
      ...guardLeft(earlier, left, { config: natsConfigIn(storeDir), outlivesMs, signal: o.signal }),
      ...reachedAt(earlier.port, left),
    };
  }
  const token = certificates === undefined ? (o.token ?? randomBytes(24).toString('hex')) : '';
  const access: NatsAccess =
    certificates === undefined ? { kind: 'token', token } : { kind: 'certificates', ...certificates };
  const config = configure(o.port ?? -1, access);

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
  const guard = guardProcess({ pid: server.pid ?? 0, config }, exited, outlivesMs);
  const close = closeOf(server, exited, guard, o.signal);
  try {
    const what = 'starting nats-server';
    const ready = readPort(server, exited, logPath, executable);
    const port = await withDeadline(ready, { timeoutMs: readyTimeoutMs, what, signal: o.signal });
    return {
      ...{ port, token, pid: server.pid ?? 0, guardPid: guard.pid, exited: guard.ended },
      ...{ outlive: guard.outlive, close },
      ...reachedAt(port, server),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** As this machine reaches it. */
function urlOf(port: number, certificates: NatsCertificates | undefined): string {
  if (certificates === undefined) return `nats://127.0.0.1:${port}`;
  const host = isWildcard(certificates.host) ? '127.0.0.1' : certificates.host;
  return `tls://${formatHostPort({ host, port })}`;
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
  return findLeftBehind(pid, ['--config', natsConfigIn(storeDir)]);
}

/** It ends as if this process had started it. */
function guardLeft(
  earlier: EarlierServer,
  server: LeftBehind,
  o: { readonly config: string; readonly outlivesMs: number; readonly signal: AbortSignal },
): Omit<NatsServer, 'url' | 'reload'> {
  const { config, outlivesMs, signal } = o;
  const guard = guardProcess({ pid: server.pid, config }, server.ended, outlivesMs);
  // Only now: the server is never without one. With all of its group, for it may wait in a sleep.
  if (findLeftBehind(earlier.guardPid, ['/bin/sh', '-c'])) process.kill(-earlier.guardPid, 'SIGKILL');
  const close = closeOf(server, server.ended, guard, signal);
  const { port, token, pid } = earlier;
  guard.outlive();
  return { token, port, pid, guardPid: guard.pid, exited: guard.ended, outlive() {}, close };
}

/** What ends a server and its guard, called by itself when `signal` aborts. */
function closeOf(
  server: { kill(signal: NodeJS.Signals): unknown },
  exited: Promise<void>,
  guard: Guard,
  signal: AbortSignal,
): () => Promise<void> {
  const close = async () => {
    guard.end();
    server.kill('SIGTERM');
    const timer = setTimeout(() => server.kill('SIGKILL'), closeTimeoutMs);
    await guard.ended;
    clearTimeout(timer);
  };
  const onAbort = () => void close();
  signal.addEventListener('abort', onAbort, { once: true });
  void exited.then(() => signal.removeEventListener('abort', onAbort));
  return close;
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
