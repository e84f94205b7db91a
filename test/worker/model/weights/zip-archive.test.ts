import { describe, expect, it } from 'vitest';
import { openZip } from '../../../../worker/model/weights/zip-archive.js';
import { zipOf } from '../../../support/zip-file.js';

const files = {
  'a/one': Buffer.from('first'),
  'a/empty': Buffer.alloc(0),
  'b/zwei ü': Buffer.alloc(70_000, 7),
};

describe('openZip', () => {
  it.each([{}, { zip64: true }, { comment: 'PK\x05\x06 is not always the end' }])('%j', (options) => {
    const archive = openZip(zipOf(files, options), 'a.zip');
    expect(archive.names).toEqual(Object.keys(files));
    for (const [name, content] of Object.entries(files)) {
      expect(Buffer.from(archive.read(name)).equals(content)).toBe(true);
    }
  });

  it('gives views of the bytes, not copies', () => {
    const bytes = zipOf(files);
    expect(openZip(bytes, 'a.zip').read('a/one').buffer).toBe(bytes.buffer);
  });

  it.each([false, true])('refuses what is cut short anywhere (ZIP64: %s)', (zip64) => {
    const bytes = zipOf({ a: Buffer.from('x'), b: Buffer.from('yz') }, { zip64 });
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => openZip(bytes.subarray(0, length), 'a.zip')).toThrow(
        expect.objectContaining({ code: 'data-loss', message: expect.stringContaining('a.zip is damaged') }),
      );
    }
  });

  it('refuses a changed content, by its name, and only when it is read', () => {
    const bytes = zipOf(files);
    bytes[bytes.indexOf('first')]! ^= 1;
    const archive = openZip(bytes, 'a.zip');
    expect(archive.read('a/empty')).toHaveLength(0);
    expect(() => archive.read('a/one')).toThrow('its a/one has another checksum');
    expect(() => archive.read('a/two')).toThrow('it has no a/two');
  });
});
