import { expect, it } from 'vitest';
import { maskUrls } from '../../runtime/mask-urls.js';

it.each([
  ['https://ann:s3cret@host:1/packed?sig=s3cret#s3cret', 'https://***@host:1/packed?***'],
  ['--data=https://ann:s3cret@host/packed', '--data=https://***@host/packed'],
  ['http://s3cret@host', 'http://***@host'],
  ['https://ann:s3/c@r?et@host/packed', 'https://***@host/packed'],
  ['"https://host/a?X-Amz-Signature=s3cret" is no URL', '"https://host/a?***" is no URL'],
  ['two: https://a:s3cret@b/c, and https://d/e?s3cret=1.', 'two: https://***@b/c, and https://d/e?***'],
  ['nats://s3cret@host:1', 'nats://***@host:1'],
  ['--nats=tls://ann:s3cret@host:1', '--nats=tls://***@host:1'],
  ['s3://AKID:s3/cret@bucket/packed', 's3://***@bucket/packed'],
  ['AB.C+d-1://u:s3cret@h?s3cret', 'AB.C+d-1://***@h?***'],
])('of %s what is secret is hidden', (text, masked) => {
  expect(maskUrls(text)).toBe(masked);
});

it.each(['nats://host:1', 'a@b', 'why? because', '/photos/a@b?c', 'https://host/a%20b/', '--name'])(
  'nothing of %s is changed',
  (text) => {
    expect(maskUrls(text)).toBe(text);
  },
);
