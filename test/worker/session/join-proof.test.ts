import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { authorityHash } from '../../../runtime/authority-hash.js';
import { createAuthority } from '../../../runtime/certificates.js';
import { type JoinFlags, readJoinProof } from '../../../worker/session/join-proof.js';

const [near, far] = ['127.0.0.1:7070', '10.0.0.1:7070'];
const token = `abc123.${'s'.repeat(32)}`;
const hash = `sha256:${'0'.repeat(64)}`;

function read(flags: Partial<JoinFlags>, environment: NodeJS.ProcessEnv = {}) {
  return readJoinProof({ coordinator: far, ...flags }, environment);
}

describe('what a worker joins with', () => {
  it('is a certificate where a hash is given, by flags or by the environment, which forgets it', () => {
    const proof = { kind: 'certificate', token, hashes: [hash] };
    expect(read({ token, caHash: [hash] })).toEqual(proof);
    const environment = { RONDO_TOKEN: token, RONDO_CA_HASH: hash, OTHER: 'stays' };
    expect(read({}, environment)).toEqual(proof);
    expect(environment).toEqual({ OTHER: 'stays' });
  });

  it('is a certificate of the authority whose own certificate lies in a file', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'rondo-proof-'));
    const [caFile, tokenFile] = [path.join(folder, 'ca.crt'), path.join(folder, 'token')];
    const first = await createAuthority('first');
    const second = await createAuthority('second');
    writeFileSync(tokenFile, `${token}\n`);
    writeFileSync(caFile, first.certificate);
    const hashes = [authorityHash(first.certificate)];
    expect(read({ tokenFile, caFile })).toEqual({ kind: 'certificate', token, hashes });
    writeFileSync(caFile, first.certificate + second.certificate);
    const both = [hash, ...hashes, authorityHash(second.certificate)];
    expect(read({ token, caFile, caHash: [hash] })).toEqual({ kind: 'certificate', token, hashes: both });
    for (const text of ['', 'no certificate', first.certificate.replace(/[A-Z]{8}/, '        ')]) {
      writeFileSync(caFile, text);
      expect(() => read({ token, caFile })).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    }
    expect(() => read({ token, caFile: '/absent' })).toThrow(
      expect.objectContaining({ code: 'not-found', message: expect.stringMatching(/--ca-file \/absent/) }),
    );
    rmSync(folder, { recursive: true });
  });

  it('is the run’s token on one machine, from a file or the environment', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'rondo-proof-'));
    const tokenFile = path.join(folder, 'token');
    writeFileSync(tokenFile, 'the-token-of-the-run\n');
    const proof = { kind: 'run-token', token: 'the-token-of-the-run', insecure: false };
    expect(read({ coordinator: near, tokenFile })).toEqual(proof);
    expect(read({ coordinator: near }, { RONDO_TOKEN: proof.token, RONDO_CA_HASH: '' })).toEqual(proof);
    rmSync(folder, { recursive: true });
  });

  it.each<[string, Partial<JoinFlags>, NodeJS.ProcessEnv, string, RegExp]>([
    ['a token without a hash, for another machine', { token }, {}, 'permission-denied', /unencrypted/],
    [
      'the run’s token, for another machine',
      {},
      { RONDO_TOKEN: 'x'.repeat(20) },
      'permission-denied',
      /unencrypted/,
    ],
    [
      'a token on the command line that stays here',
      { coordinator: near, token },
      {},
      'invalid-argument',
      /without --ca-hash/,
    ],
    ['a hash that is none', { token, caHash: ['sha256:12'] }, {}, 'invalid-argument', /not the hash/],
    ['both kinds of token', { token, tokenFile: '/x', caHash: [hash] }, {}, 'invalid-argument', /both/],
    [
      'a hash and no encryption',
      { token, caHash: [hash], insecure: true },
      {},
      'invalid-argument',
      /do not go together/,
    ],
    ['nothing', { caHash: [hash] }, {}, 'unauthenticated', /no token was given/],
    [
      'a file that is not there',
      { coordinator: near, tokenFile: '/absent' },
      {},
      'not-found',
      /cannot be read/,
    ],
  ])('is not %s', (_, flags, environment, code, message) => {
    expect(() => read(flags, environment)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it('goes unencrypted to another machine when somebody insists', () => {
    expect(read({ insecure: true }, { RONDO_TOKEN: 'x'.repeat(20) })).toMatchObject({ insecure: true });
  });
});
