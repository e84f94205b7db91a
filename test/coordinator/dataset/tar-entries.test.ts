import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openTarEntries, type TarEntry } from '../../../coordinator/dataset/tar-entries.js';
import { makeFolder, writeFiles } from '../../support/images.js';

const files = {
  'a.jpg': randomBytes(1_000),
  'empty.cls': Buffer.alloc(0),
  'deep/er/b.v1.jpg': randomBytes(512),
  [`${'long-'.repeat(30)}name/c.jpg`]: randomBytes(513),
  'ü/ß.png': randomBytes(100),
};

async function makeTar(format: string): Promise<Buffer> {
  const folder = await makeFolder();
  await writeFiles(path.join(folder, 'in'), files);
  const out = path.join(folder, 'out.tar');
  const inputs = [`--format=${format}`, '-cf', out, '-C', path.join(folder, 'in'), ...Object.keys(files)];
  execFileSync('tar', inputs);
  return readFile(out);
}

/** Of the header that an archive begins with. */
function writeSum(archive: Buffer): void {
  archive.write('        ', 148);
  const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
}

function readAll(archive: Buffer, step: number): TarEntry[] {
  const entries = openTarEntries('some.tar');
  const found: TarEntry[] = [];
  for (let at = 0; at < archive.length; at += step) {
    for (const entry of entries.write(archive.subarray(at, at + step))) found.push(entry);
  }
  entries.end();
  return found;
}

describe('the files of a tar', () => {
  it.each(['gnu', 'pax'])('are read with their names and places: %s', async (format) => {
    const archive = await makeTar(format);
    for (const step of [100, 512, 777, archive.length]) {
      const found = readAll(archive, step);
      expect(found.map(({ name }) => name)).toEqual(Object.keys(files));
      for (const { name, start, bytes } of found) {
        expect(bytes.equals(files[name]!)).toBe(true);
        expect(archive.subarray(start, start + bytes.length).equals(bytes)).toBe(true);
        expect(start % 512).toBe(0);
      }
    }
  });

  it('may have their size in base 256, and no empty blocks behind them', async () => {
    const archive = (await makeTar('gnu')).subarray(0, 512 + 1_024);
    archive.fill(0, 124, 136);
    archive[124] = 0x80;
    archive.writeUInt32BE(1_000, 132);
    writeSum(archive);
    expect(readAll(archive, 100).map(({ bytes }) => bytes.length)).toEqual([1_000]);
  });

  it('may have their size in a PAX header, in place of their own header’s', async () => {
    const [first, second] = [(await makeTar('gnu')).subarray(0, 512 + 1_024), await makeTar('gnu')];
    const text = '13 size=1000\n';
    const pax = Buffer.alloc(1_024);
    first.copy(pax, 0, 0, 512);
    pax.write('x', 156);
    pax.write(`${text.length.toString(8).padStart(11, '0')}\0`, 124);
    pax.write(text, 512);
    writeSum(pax);
    first.write('00000000000\0', 124);
    writeSum(first);
    const found = readAll(Buffer.concat([pax, first, second]), 300);
    expect(found.map(({ name }) => name)).toEqual(['a.jpg', ...Object.keys(files)]);
    expect(found[0]!.start).toBe(1_536);
    expect(found[0]!.bytes.equals(files['a.jpg'])).toBe(true);
  });

  it('are refused with the reason where they are compressed, damaged or cut off', async () => {
    const archive = await makeTar('gnu');
    expect(() => readAll(gzipSync(archive), 300)).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message: expect.stringMatching(/some.tar is compressed \(gzip\): .*one by one/),
        remedy: expect.stringMatching(/decompress it/),
      }),
    );
    expect(() => readAll(gzipSync(Buffer.alloc(3)), 10)).toThrow(/compressed/);
    for (const cut of [0, 100, 700, 1_536 + 3]) {
      expect(() => readAll(archive.subarray(0, cut), 300), String(cut)).toThrow(/not whole/);
    }
    const damaged = Buffer.from(archive);
    damaged[512 + 1_024 + 5]! ^= 1;
    expect(() => readAll(damaged, 300)).toThrow(/is no tar file from byte 1536 on/);
    expect(() => readAll(randomBytes(5_000), 300)).toThrow(/is no tar file from byte 0 on/);
  });
});
