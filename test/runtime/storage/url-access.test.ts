import { beforeEach, describe, expect, it, vi } from 'vitest';
import { accessUrl, accessVariable, publicUrl } from '../../../runtime/storage/url-access.js';

beforeEach(() => {
  vi.stubEnv(accessVariable, '');
  return () => void vi.unstubAllEnvs();
});

describe('a place with secrets', () => {
  it.each([
    ['https://ann:s3%20cret@host:8443/packed/', 'https://host:8443/packed/'],
    ['https://host/packed?sig=s3cret&x=1', 'https://host/packed'],
    ['HTTP://ann@Host:80/a b?s#t', 'http://host/a%20b'],
  ])('is shown without them, and asked for with them: %s', (given, shown) => {
    expect(publicUrl(given)).toBe(shown);
    const asked = new URL(accessUrl(shown));
    const { username, password, search } = new URL(given);
    expect([asked.username, asked.password, asked.search]).toEqual([username, password, search]);
    expect(`${asked.origin}${asked.pathname}`).toBe(shown);
    // Once more, as where a recorded place is read.
    expect(publicUrl(shown)).toBe(shown);
    expect(accessUrl(shown)).toBe(asked.href);
  });

  it('may be given by the environment, for a folder above it or the index in it too', () => {
    vi.stubEnv(
      accessVariable,
      'https://ann:one@host\n https://ann:two@host/sets/ https://ann:three@host/sets/pets/index.rondo',
    );
    const passwordOf = (place: string) => new URL(accessUrl(place)).password;
    expect(passwordOf('https://host/packed')).toBe('one');
    expect(passwordOf('https://host/sets/birds')).toBe('two');
    expect(passwordOf('https://host/sets/pets')).toBe('three');
    expect(passwordOf('https://host/settlements')).toBe('one');
    expect(accessUrl('https://elsewhere/packed')).toBe('https://elsewhere/packed');
    expect(accessUrl('http://host/packed')).toBe('http://host/packed');
  });

  it('has the secrets that were given last', () => {
    for (const word of ['old', 'new', 'old', 'newest']) publicUrl(`https://host/packed?sig=${word}`);
    expect(accessUrl('https://host/packed')).toBe('https://host/packed?sig=newest');
  });

  it('is not a bucket, whose credentials come from elsewhere, and no message holds them', () => {
    expect(() => publicUrl('s3://AKID:s3cret@bucket/packed')).toThrow(
      expect.objectContaining({
        message: 's3://***@bucket/packed has credentials in it',
        remedy: expect.stringContaining('AWS_SECRET_ACCESS_KEY'),
      }),
    );
    expect(publicUrl('s3://bucket/a?b@c')).toBe('s3://bucket/a?b@c');
    expect(publicUrl('https://ann:s3cret@ho st:x/')).not.toContain('s3cret');
  });

  it('leaves folders and names alone', () => {
    for (const place of ['/photos/a?b@c', 'sample', 'pets'])
      expect([publicUrl(place), accessUrl(place)]).toEqual([place, place]);
    expect(process.env[accessVariable]).toBe('');
  });
});
