import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { tokenCommand } from '../../../coordinator/cli/token.js';
import { findToken, readTokens, writeReach } from '../../../coordinator/run-store/join-tokens.js';

const hash = `sha256:${'a'.repeat(64)}`;
let runDir: string;
let identity: string;
let printed: string;

beforeEach(() => {
  runDir = mkdtempSync(path.join(tmpdir(), 'rondo-tokens-'));
  identity = path.join(runDir, 'far', 'identity');
  mkdirSync(identity, { recursive: true });
  writeFileSync(path.join(runDir, 'far', 'run.json'), '{}');
  printed = '';
});
afterEach(() => rmSync(runDir, { recursive: true, force: true }));

async function call(...words: string[]): Promise<string> {
  printed = '';
  const output = { write: (text: string) => (printed += text) } as unknown as NodeJS.WritableStream;
  const command = tokenCommand({ output, exit() {} } as Parameters<typeof tokenCommand>[0]);
  for (const each of [command, ...command.commands]) each.exitOverride().configureOutput({ writeErr() {} });
  await command.parseAsync([...words, '--run-dir', runDir], { from: 'user' });
  return printed;
}

it('makes a token, of which the run keeps a digest, and prints the line to paste', async () => {
  await writeReach(identity, { address: '10.0.0.1:7070', hash, joins: true });
  const line = await call('create', 'far', '--lifetime', '30m', '--uses', '2');
  const match = /^worker join --coordinator 10\.0\.0\.1:7070 --token (\S+) --ca-hash (\S+)\n$/.exec(line);
  expect(match?.[2]).toBe(hash);
  const [record] = readTokens(path.join(identity, 'tokens'));
  expect(findToken([record!], match![1]!)).toBe(record);
  expect(record).toMatchObject({ uses: 2, revokedAtMs: null });
  expect(record!.expiresAtMs - record!.createdAtMs).toBe(30 * 60_000);
});

it('lists tokens with who joined, never the tokens themselves, and revokes them', async () => {
  await writeReach(identity, { address: '10.0.0.1:7070', hash, joins: true });
  const { id, token } = JSON.parse(await call('create', 'far', '--json')) as { id: string; token: string };
  const issued = { serial: '1', workerId: 'gpu-1', tokenId: id, expiresAtMs: 1, bought: true };
  const renewed = { ...issued, serial: '2', bought: false };
  writeFileSync(
    path.join(identity, 'issued.jsonl'),
    `${JSON.stringify(issued)}\n${JSON.stringify(renewed)}\n`,
  );
  const listed = await call('list', 'far');
  expect(listed).toMatch(new RegExp(`^${id}\\s+worker\\s+valid\\s+1/∞\\s+20\\S+Z\\s+gpu-1$`, 'm'));
  expect(listed).not.toContain(token.split('.')[1]);
  expect(await call('revoke', 'far', token)).toBe(`token ${id} is revoked\n`);
  expect(JSON.parse(await call('list', 'far', '--json'))).toMatchObject({
    id,
    state: 'revoked',
    workers: ['gpu-1'],
  });
});

it('makes a token for an operator, which counts no uses, and prints what to ask with', async () => {
  await writeReach(identity, { address: '10.0.0.1:7070', hash, joins: false });
  const line = await call('create', 'far', '--for', 'operator', '--coordinator', '127.0.0.1:7070');
  const match = /^coordinator status --coordinator 127\.0\.0\.1:7070 --token (\S+) --ca-hash (\S+)\n$/.exec(
    line,
  );
  expect(match?.[2]).toBe(hash);
  const [record] = readTokens(path.join(identity, 'tokens'));
  expect(findToken([record!], match![1]!)).toMatchObject({ role: 'operator', uses: null });
  expect(await call('list', 'far')).toMatch(
    new RegExp(`^${record!.id}\\s+operator\\s+valid\\s+–\\s+20\\S+Z$`, 'm'),
  );
  await expect(call('create', 'far', '--for', 'operator', '--uses', '2')).rejects.toThrow(/nobody joins/);
  await expect(call('create', 'far')).rejects.toThrow(/certificates of its own authority/);
});

it('says what is missing', async () => {
  await expect(call('create', 'far')).rejects.toMatchObject({ code: 'failed-precondition' });
  await writeReach(identity, { address: '10.0.0.1:7070', hash, joins: true });
  await expect(call('revoke', 'far', 'zzzzzz')).rejects.toMatchObject({ code: 'not-found' });
  await expect(call('create', 'far', '--lifetime', '0m')).rejects.toThrow(/such as 30m/);
  await expect(call('create', 'nowhere')).rejects.toMatchObject({ code: 'not-found' });
});
