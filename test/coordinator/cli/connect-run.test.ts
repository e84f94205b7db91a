import { expect, it } from 'vitest';
import { type AskFlags, connectRun } from '../../../coordinator/cli/connect-run.js';

const hash = `sha256:${'0'.repeat(64)}`;
const elsewhere = { runDir: '/nowhere', coordinator: '127.0.0.1:1', caHash: [hash] };

it.each<[string, string | undefined, Partial<AskFlags>, string, RegExp]>([
  ['no run', undefined, { coordinator: undefined, caHash: undefined }, 'invalid-argument', /no run is named/],
  [
    'a token for a run of this machine',
    'pets',
    { coordinator: undefined, token: 'x' },
    'invalid-argument',
    /--token is given without --coordinator/,
  ],
  ['no token', undefined, {}, 'unauthenticated', /no token/],
  ['what is no token', undefined, { token: 'secret' }, 'unauthenticated', /form ID\.SECRET/],
  [
    'no hash',
    undefined,
    { token: `abc123.${'s'.repeat(32)}`, caHash: [] },
    'invalid-argument',
    /no --ca-hash/,
  ],
  ['two tokens', undefined, { token: 'a', tokenFile: 'b' }, 'invalid-argument', /are both given/],
])('says what is missing of %s', async (_, name, flags, code, message) => {
  await expect(connectRun(name, { ...elsewhere, ...flags } as AskFlags, {})).rejects.toMatchObject({
    ...{ code, message: expect.stringMatching(message), remedy: expect.any(String) },
  });
});
