import { expect, it } from 'vitest';
import { hideNatsLogin, splitNatsUrl } from '../../runtime/nats-url.js';

it.each([
  ['nats://127.0.0.1:4222', 'nats://127.0.0.1:4222', {}],
  ['nats://s3cret@127.0.0.1:4222', 'nats://127.0.0.1:4222', { token: 's3cret' }],
  ['nats://ann:p%40ss@127.0.0.1:4222/', 'nats://127.0.0.1:4222', { user: 'ann', pass: 'p@ss' }],
  ['tls://%2Fx@nats.example:4222', 'tls://nats.example:4222', { token: '/x' }],
])('%s', (text, address, login) => {
  expect(splitNatsUrl(text)).toEqual({ address, login });
  const given = 'from-elsewhere';
  const expected = text === address ? { token: given } : login;
  expect(splitNatsUrl(text, given)).toEqual({ address, login: expected });
});

it('hides what proves anything, in whatever form an option is given, and nothing else', () => {
  const words = [
    'start',
    '--nats',
    'nats://s3cret@host:1',
    '--nats=tls://ann:p@ss:w@host:1',
    'nats://host:1',
    'a@b',
  ];
  const hidden = hideNatsLogin(words);
  expect(hidden).toEqual([
    'start',
    '--nats',
    'nats://***@host:1',
    expect.any(String),
    'nats://host:1',
    'a@b',
  ]);
  expect(hidden.join(' ')).not.toMatch(/s3cret|ann|p@|ss/);
});
