import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { openAccess, type RunAccess } from '../../../coordinator/cluster/run-access.js';
import { readTokens, revokeToken } from '../../../coordinator/run-store/join-tokens.js';
import { createRequest } from '../../../runtime/certificates.js';
import { temporaryFolder } from '../../support/tiny-run.js';

const given = `abc123.${'s'.repeat(32)}`;
const opened: RunAccess[] = [];

afterEach(() => {
  for (const access of opened.splice(0)) access.close();
});

function placeToken(text: string): string {
  const file = join(temporaryFolder(), 'token');
  writeFileSync(file, text);
  return file;
}

async function open(
  folder: string,
  joinTokenFile: string | null,
  listen = '0.0.0.0:7070',
): Promise<RunAccess> {
  const access = await openAccess({
    listen,
    advertise: null,
    insecure: false,
    runId: 'mine',
    folder,
    joinTokenFile,
  });
  opened.push(access);
  return access;
}

async function enrol({ authority }: RunAccess, token: string): Promise<unknown> {
  const { request } = await createRequest();
  return authority!.enrol({ token, workerId: 'guest', signingRequest: request });
}

describe('a token that something else made', () => {
  it('is taken from its file, is told nobody, and is good each time that the run is opened', async () => {
    const [folder, file] = [join(temporaryFolder(), 'identity'), placeToken(`${given}\n`)];
    for (let time = 0; time < 2; time += 1) {
      const access = await open(folder, file);
      expect(access.joining).toEqual({ token: null, hash: access.authority!.hash });
      await expect(enrol(access, given)).resolves.toMatchObject({ certificate: expect.any(String) });
      expect(readTokens(join(folder, 'tokens')).map(({ id, uses }) => [id, uses])).toEqual([
        ['abc123', null],
      ]);
    }
  });

  it('stays revoked though its file still holds it; another one in its place is good', async () => {
    const [folder, file] = [join(temporaryFolder(), 'identity'), placeToken(given)];
    await open(folder, file);
    await revokeToken(join(folder, 'tokens'), given);
    await expect(enrol(await open(folder, file), given)).rejects.toMatchObject({ code: 'unauthenticated' });
    const other = `abc124.${'t'.repeat(32)}`;
    await expect(enrol(await open(folder, placeToken(other)), other)).resolves.toBeDefined();
  });

  it.each([
    ['is none', 'secret-secret-secret', '0.0.0.0:7070', 'invalid-argument'],
    ['is absent', null, '0.0.0.0:7070', 'not-found'],
    ['is for a run on this machine alone', given, '127.0.0.1:0', 'invalid-argument'],
  ])('is refused when it %s, and not repeated', async (_, text, listen, code) => {
    const file = text === null ? '/absent' : placeToken(text);
    const refusal = await open(temporaryFolder(), file, listen).catch((error: Error) => error);
    expect(refusal).toMatchObject({ code });
    expect((refusal as Error).message).not.toMatch(/secret/);
  });
});
