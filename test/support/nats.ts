import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NatsServer, startNatsServer } from '../../coordinator/launch/nats-server.js';

/** A server in a temporary folder, that can be killed and started again on the same port and store. */
export interface TestNats {
  readonly url: string;
  readonly token: string;
  /** SIGKILL, and the end of the process. */
  kill(): Promise<void>;
  restart(o?: { emptyStore: boolean }): Promise<void>;
  close(): Promise<void>;
}

export async function startTestNats(): Promise<TestNats> {
  const folder = await mkdtemp(join(tmpdir(), 'rondo-nats-'));
  const { signal } = new AbortController();
  let store = join(folder, 'store');
  let server: NatsServer = await startNatsServer({ storeDir: store, signal });
  const { url, token } = server;
  const port = Number(new URL(url).port);
  return {
    url,
    token,
    async kill() {
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
    },
    async restart(o = { emptyStore: false }) {
      if (o.emptyStore) store = join(folder, 'another-store');
      server = await startNatsServer({ storeDir: store, signal, port, token });
    },
    async close() {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
