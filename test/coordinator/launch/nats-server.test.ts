import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'nats';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { isAlive } from '../../../bench/support/processes.js';
import { type EarlierServer, startNatsServer } from '../../../coordinator/launch/nats-server.js';

let folder: string;
let storeDir: string;
const { signal } = new AbortController();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rondo-nats-'));
  storeDir = join(folder, 'a store');
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

describe('startNatsServer', () => {
  it('serves JetStream on loopback to clients with the token, and is gone after close', async () => {
    const server = await startNatsServer({ storeDir, signal });
    expect(server.url).toMatch(/^nats:\/\/127\.0\.0\.1:\d+$/);
    const connection = await connect({ servers: server.url, token: server.token });
    const manager = await connection.jetstreamManager();
    expect((await manager.getAccountInfo()).streams).toBe(0);
    await connection.close();
    await expect(connect({ servers: server.url, token: 'wrong', reconnect: false })).rejects.toThrow(
      /Authorization/,
    );
    expect((await stat(join(storeDir, 'nats-server.conf'))).mode & 0o077).toBe(0);
    await Promise.all([server.close(), server.close()]);
    await server.close();
    expect(isAlive(server.pid)).toBe(false);
  });

  it('ends the server when the signal aborts', async () => {
    const controller = new AbortController();
    const server = await startNatsServer({ storeDir, signal: controller.signal });
    controller.abort();
    await server.exited;
    expect(isAlive(server.pid)).toBe(false);
    await expect(startNatsServer({ storeDir, signal: controller.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
  });

  /** Starts a server in another process, which is killed, or ends it and exits at once. */
  async function leaveServer(
    outlivesMs: number,
    { aborts = false, recorded = true } = {},
  ): Promise<EarlierServer> {
    const program = `
      const { startNatsServer } = await import('./dist/coordinator/launch/nats-server.js');
      const [, storeDir, outlivesMs, aborts, recorded] = process.argv;
      const controller = new AbortController();
      const { signal } = controller;
      const server = await startNatsServer({ storeDir, signal, outlivesMs: Number(outlivesMs) });
      const { port, token, pid, guardPid } = server;
      if (recorded === 'true') server.outlive();
      process.stdout.write(JSON.stringify({ port, token, pid, guardPid }));
      process.stdin.once('data', () => {
        if (aborts === 'true') controller.abort();
        process.kill(process.pid, 'SIGKILL');
      });
    `;
    const choice = [outlivesMs, aborts, recorded].map(String);
    const inputs = ['--input-type=module', '-e', program, storeDir, ...choice];
    const starter = spawn(process.execPath, inputs, { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = (await once(starter.stdout, 'data')) as [Buffer];
    const server = JSON.parse(line.toString()) as EarlierServer;
    expect(isAlive(server.pid)).toBe(true);
    starter.stdin.write('end\n');
    await once(starter, 'exit');
    return server;
  }

  it('leaves no server behind when the process that started it is killed', async () => {
    const { pid } = await leaveServer(0);
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  it('leaves none behind that was to outlive it, when it is killed before it has recorded it', async () => {
    const { pid, guardPid } = await leaveServer(60_000, { recorded: false });
    await expect.poll(() => [pid, guardPid].some(isAlive)).toBe(false);
  });

  it('leaves nothing behind when the process that started it ends it and exits at once', async () => {
    const { pid, guardPid } = await leaveServer(60_000, { aborts: true });
    await expect.poll(() => [pid, guardPid].some(isAlive)).toBe(false);
  });

  it('leaves a process alone that has the number of a server that has ended', async () => {
    const ready = "echo 'Listening for client connections on 127.0.0.1:4222' >&2; echo 'Server is ready' >&2";
    const other = join(folder, 'other');
    await writeFile(other, `#!/bin/sh\nexec sh -c "${ready}; exec sleep 60"\n`, { mode: 0o755 });
    vi.stubEnv('RONDO_NATS_SERVER', other);
    const { pid, guardPid } = await leaveServer(0);
    await expect.poll(() => isAlive(guardPid)).toBe(false);
    expect(isAlive(pid)).toBe(true);
    process.kill(pid, 'SIGKILL');
  });

  it('takes over a server that outlives the process that started it, and ends it', async () => {
    const earlier = await leaveServer(60_000);
    const server = await startNatsServer({ storeDir, signal, earlier });
    expect(server).toMatchObject({ port: earlier.port, token: earlier.token, pid: earlier.pid });
    await expect.poll(() => isAlive(earlier.guardPid)).toBe(false);
    const connection = await connect({ servers: server.url, token: server.token });
    await connection.close();
    await Promise.all([server.close(), server.close()]);
    expect([server.pid, server.guardPid].map(isAlive)).toEqual([false, false]);
    // Another one takes its place where it has ended.
    const next = await startNatsServer({
      storeDir,
      signal,
      earlier,
      port: earlier.port,
      token: earlier.token,
    });
    expect(next).toMatchObject({ port: earlier.port, token: earlier.token });
    expect(next.pid).not.toBe(earlier.pid);
    await next.close();
  });

  it('says what is wrong with a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await expect(startNatsServer({ storeDir, signal, port })).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringMatching(/does not start: .*address already in use/),
    });
    other.close();
  });

  it('says how to get a server where there is none', async () => {
    vi.stubEnv('RONDO_NATS_SERVER', join(folder, 'no-such-file'));
    await expect(startNatsServer({ storeDir, signal })).rejects.toMatchObject({
      code: 'failed-precondition',
      remedy: expect.stringContaining('npm run setup'),
    });
  });
});

it('names a store that cannot be written', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  const store = join(file, 'nats');
  const started = startNatsServer({ storeDir: store, signal });
  await expect(started).rejects.toMatchObject({
    code: 'not-found',
    message: expect.stringContaining(`cannot write ${store}`),
  });
});
