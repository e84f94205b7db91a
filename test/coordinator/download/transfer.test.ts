import { randomBytes } from 'node:crypto';
import { stat, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { bytes, expectWhole, retry, type Setting, setUp } from '../../support/download-setting.js';

describe('a broken connection', () => {
  it('costs nothing that has arrived: the next request asks for the rest of the same bytes', async () => {
    const setting = await setUp();
    setting.cutAt(100_000, 150_000);
    await setting.fetch();
    await expectWhole(setting);
    expect(
      setting.server.requests.map(({ headers, status }) => [headers.range, headers['if-range'], status]),
    ).toEqual([
      [undefined, undefined, 200],
      ['bytes=100000-', '"1"', 206],
      ['bytes=150000-', '"1"', 206],
    ]);
  });

  it('may happen more often than there are tries, as long as something arrives', async () => {
    const setting = await setUp();
    setting.cutAt(40_000, 80_000, 120_000, 160_000, 200_000, 240_000);
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.server.requests).toHaveLength(7);
  });

  it('before the answer, a busy server and silence are tried again', async () => {
    const setting = await setUp();
    setting.server.faults.push({ status: 503 }, { stallAfter: 70_000 });
    await setting.fetch({ retry: { ...retry, stallMs: 300 } });
    await expectWhole(setting);
    expect(setting.server.requests.map(({ headers }) => headers.range)).toEqual([
      undefined,
      undefined,
      'bytes=70000-',
    ]);
  });

  it('starts over where the server ignores ranges', async () => {
    const setting = await setUp({ ignoresRange: true });
    setting.cutAt(100_000);
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.server.requests.map(({ headers, status }) => [headers.range, status])).toEqual([
      [undefined, 200],
      ['bytes=100000-', 200],
    ]);
  });

  it('is given up after some tries that bring nothing, and what has arrived waits for the next start', async () => {
    const setting = await setUp();
    setting.cutAt(100_000, 100_000, 100_000, 100_000);
    const failure = setting.fetch();
    await expect(failure).rejects.toMatchObject({ code: 'unavailable' });
    await expect(failure).rejects.toThrow(/3 tries/);
    expect((await stat(`${setting.file}.part`)).size).toBe(100_000);
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.server.requests.at(-1)!.headers.range).toBe('bytes=100000-');
  });
});

describe('a part from before', () => {
  async function interrupt(setting: Setting, position = 100_000): Promise<void> {
    setting.cutAt(position);
    setting.server.faults.push({ status: 404 });
    await expect(setting.fetch()).rejects.toMatchObject({ code: 'not-found' });
    expect((await stat(`${setting.file}.part`)).size).toBe(position);
  }

  it('of a file that has changed since is dropped', async () => {
    const setting = await setUp({ bytes: randomBytes(200_000), etag: '"old"' });
    await interrupt(setting);
    setting.server.files.set('/a.bin', { bytes, etag: '"new"' });
    await setting.fetch();
    await expectWhole(setting);
    const { headers, status } = setting.server.requests.at(-1)!;
    expect([headers['if-range'], status]).toEqual(['"old"', 200]);
  });

  it.each([
    ['only a weak ETag', { etag: 'W/"1"' }],
    ['no validator at all', { etag: null }],
  ])('is not gone on with when the server gave %s', async (_, served) => {
    const setting = await setUp(served);
    await interrupt(setting);
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.server.requests.at(-1)!.headers.range).toBeUndefined();
  });

  it('is gone on with by its date when there is no ETag', async () => {
    const lastModified = 'Tue, 01 Jan 2019 00:00:00 GMT';
    const setting = await setUp({ etag: null, lastModified });
    await interrupt(setting);
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.server.requests.at(-1)!.headers).toMatchObject({
      'if-range': lastModified,
      range: 'bytes=100000-',
    });
  });

  it('of unknown total that was whole already is recognised', async () => {
    const setting = await setUp({ chunked: true });
    await interrupt(setting, bytes.length);
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.server.requests.at(-1)!.status).toBe(416);
  });

  it('that is whole needs no network', async () => {
    const setting = await setUp();
    await interrupt(setting);
    const notes = { url: `${setting.server.url}/a.bin`, validator: '"1"', total: bytes.length };
    await writeFile(`${setting.file}.part`, bytes);
    await writeFile(`${setting.file}.part.json`, JSON.stringify(notes));
    await setting.server.close();
    await setting.fetch();
    await expectWhole(setting);
  });
});
