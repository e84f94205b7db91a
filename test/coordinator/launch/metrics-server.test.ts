import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../../bench/support/free-port.js';
import type { RunAccess } from '../../../coordinator/cluster/run-access.js';
import { localServices } from '../../../coordinator/local-services.js';

const access = { authority: null } as Partial<RunAccess> as RunAccess;

it('the metrics server listens on the port that --nats-port says, else on a free one', async () => {
  const storeDir = mkdtempSync(path.join(tmpdir(), 'rondo-nats-'));
  const port = await freePort();
  const start = async (wanted: number | null) => {
    const server = await localServices.startMetricsServer({
      ...{ storeDir, access, runId: 'run', listen: '127.0.0.1:0' },
      ...{ earlier: null, outlivesMs: 0, port: wanted },
    });
    await server.close();
    return server.server.port;
  };
  onTestFinished(() => rmSync(storeDir, { recursive: true, force: true }));
  expect(await start(port)).toBe(port);
  expect(await start(null)).not.toBe(port);
});
