import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { openAccess, type RunAccess } from '../../../coordinator/cluster/run-access.js';
import { type Announcement, announce } from '../../../coordinator/run/announce.js';
import type { RunEvent } from '../../../coordinator/telemetry/run-events.js';

vi.mock('node:os', async (importOriginal) => ({
  ...(await importOriginal<typeof import('node:os')>()),
  networkInterfaces: vi.fn(),
}));

let folder: string;
const open: RunAccess[] = [];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rondo-announce-'));
  haveAddresses('10.0.0.7');
});
afterEach(() => {
  for (const access of open.splice(0)) access.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Besides loopback's. */
function haveAddresses(...addresses: string[]): void {
  const of = (address: string, internal: boolean) => ({
    ...{ address, internal, family: 'IPv4' as const, netmask: '255.0.0.0', mac: '', cidr: null },
  });
  const all = [of('127.0.0.1', true), ...addresses.map((address) => of(address, false))];
  vi.mocked(networkInterfaces).mockReturnValue({ any: all });
}

async function announced(bound: string, o: Partial<Announcement> = {}): Promise<RunEvent[]> {
  const { advertise = null, insecure = false } = o;
  const access = await openAccess({ listen: bound, advertise, insecure, runId: 'run', folder });
  open.push(access);
  const events: RunEvent[] = [];
  const counts = { workers: 2, localWorkers: 0, maxWorkers: 2 };
  const tokenFile = path.join(folder, 'token');
  await announce({ bound, access, identity: folder, tokenFile, ...counts, ...o }, (event) =>
    events.push(event),
  );
  return events;
}

it('says the address by which others reach it: the given one, else what it listens on, else one of this machine', async () => {
  for (const [bound, advertise, address] of [
    ['10.0.0.1:7070', 'tunnel.example:80', 'tunnel.example:80'],
    ['10.0.0.1:7070', null, '10.0.0.1:7070'],
    ['0.0.0.0:7070', null, '10.0.0.7:7070'],
  ] as const) {
    expect(await announced(bound, { advertise })).toMatchObject([
      { kind: 'waiting', address, insecure: false, tokenFile: null, joining: { token: expect.any(String) } },
    ]);
    expect(existsSync(path.join(folder, 'token'))).toBe(false);
  }
  haveAddresses();
  await expect(announced('0.0.0.0:7070')).rejects.toMatchObject({
    ...{ code: 'failed-precondition', remedy: expect.stringContaining('--advertise HOST:PORT') },
  });
});

it('warns where nothing is encrypted, and leaves the token in a file of its user', async () => {
  const tokenFile = path.join(folder, 'token');
  expect(await announced('10.0.0.1:7070', { insecure: true })).toMatchObject([
    { kind: 'warning', text: expect.stringMatching(/^INSECURE: nothing is encrypted.*--insecure/) },
    { kind: 'waiting', insecure: true, tokenFile, joining: null },
  ]);
  expect(readFileSync(tokenFile, 'utf8').trim()).toBe(open[0]!.runToken);
  expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
});
