import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openAccess, type RunAccess } from '../../../coordinator/cluster/run-access.js';
import {
  makeToken,
  readTokens,
  tokensFolder,
  writeToken,
} from '../../../coordinator/run-store/join-tokens.js';
import { createRequest } from '../../../runtime/certificates.js';

let folder: string;
const open: RunAccess[] = [];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rondo-access-'));
});
afterEach(() => {
  for (const access of open.splice(0)) access.close();
  rmSync(folder, { recursive: true, force: true });
});

async function start(listen: string, advertise: string | null = null, insecure = false): Promise<RunAccess> {
  const access = await openAccess({ listen, advertise, insecure, runId: 'run', folder });
  open.push(access);
  return access;
}

it('gives certificates where others reach the coordinator, through a tunnel to loopback too', async () => {
  for (const [listen, advertise, certified] of [
    ['127.0.0.1:0', null, false],
    ['127.0.0.1:0', 'localhost:7070', false],
    ['127.0.0.1:0', 'tunnel.example:7070', true],
    ['10.0.0.1:0', null, true],
    ['0.0.0.0:0', '127.0.0.1:7070', true],
  ] as const) {
    const { authority, runToken } = await start(listen, advertise);
    expect([authority !== null, runToken === null], `${listen} ${advertise}`).toEqual([certified, certified]);
  }
  expect((await start('10.0.0.1:0', null, true)).authority).toBeNull();
});

it('leaves no token of an earlier start that nobody has joined with, and no one’s that was made by hand', async () => {
  const tokens = () => readTokens(tokensFolder(folder)).map(({ id }) => id);
  const idOf = ({ joining }: RunAccess) => joining!.token!.split('.')[0]!;
  const first = await start('10.0.0.1:0');
  const { request } = await createRequest();
  await first.authority!.enrol({ token: first.joining!.token!, workerId: 'a', signingRequest: request });
  const byHand = makeToken({ lifetimeMs: 60_000, uses: 1 });
  const expired = makeToken({ lifetimeMs: -1, uses: 1 });
  for (const { record } of [byHand, expired]) await writeToken(tokensFolder(folder), record);
  const second = await start('10.0.0.1:0');
  const third = await start('10.0.0.1:0');
  expect(new Set(tokens())).toEqual(new Set([idOf(first), byHand.record.id, idOf(third)]));
  expect(tokens()).not.toContain(idOf(second));
});
