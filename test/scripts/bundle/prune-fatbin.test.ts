import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const script = new URL('../../../scripts/bundle/prune-fatbin.py', import.meta.url).pathname;
const machineCode = 2;
const ptx = 1;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rondo-prune-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** An entry of a fat binary: a header of 64 bytes, then `text`. */
function entry(kind: number, architecture: number, text: string): Buffer {
  const body = Buffer.from(text.padEnd(32, '.'));
  const head = Buffer.alloc(64);
  head.writeUInt16LE(kind, 0);
  head.writeUInt16LE(0x101, 2);
  head.writeUInt32LE(64, 4);
  head.writeBigUInt64LE(BigInt(body.length), 8);
  head.writeUInt32LE(architecture, 28);
  return Buffer.concat([head, body]);
}

function fatBinary(...entries: Buffer[]): Buffer {
  const body = Buffer.concat(entries);
  const head = Buffer.alloc(16);
  head.writeUInt32LE(0xba55ed50, 0);
  head.writeUInt16LE(1, 4);
  head.writeUInt16LE(16, 6);
  head.writeBigUInt64LE(BigInt(body.length), 8);
  return Buffer.concat([head, body]);
}

/** A 64-bit ELF file with nothing but sections. */
function elf(sections: Readonly<Record<string, Buffer>>): Buffer {
  const names = ['', ...Object.keys(sections), '.shstrtab'];
  const texts = Buffer.from(`${names.join('\0')}\0`);
  const bodies = [Buffer.alloc(0), ...Object.values(sections), texts];
  const offsets: number[] = [];
  let end = 64;
  for (const body of bodies) {
    offsets.push(end);
    end += body.length;
  }
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01', 'latin1');
  header.writeBigUInt64LE(BigInt(end), 40);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(names.length, 60);
  header.writeUInt16LE(names.length - 1, 62);
  const table = bodies.map((body, index) => {
    const row = Buffer.alloc(64);
    row.writeUInt32LE(texts.indexOf(names[index]!, 0, 'latin1'), 0);
    row.writeUInt32LE(index === 0 ? 0 : 1, 4);
    row.writeBigUInt64LE(BigInt(offsets[index]!), 24);
    row.writeBigUInt64LE(BigInt(body.length), 32);
    return row;
  });
  return Buffer.concat([header, ...bodies, ...table]);
}

function prune(library: Buffer, architecture: number): { pruned: Buffer; kept: number; dropped: number } {
  const [from, to] = [join(folder, 'lib.so'), join(folder, 'out', 'lib.so')];
  writeFileSync(from, library);
  const printed = execFileSync('python3', [script, from, to, String(architecture)], { encoding: 'utf8' });
  return { pruned: readFileSync(to), ...(JSON.parse(printed) as { kept: number; dropped: number }) };
}

describe('prune-fatbin.py', () => {
  const rich = fatBinary(
    entry(machineCode, 80, 'code for 80'),
    entry(machineCode, 86, 'code for 86'),
    entry(machineCode, 90, 'code for 90'),
    entry(ptx, 90, 'ptx of 90'),
  );
  const library = elf({
    '.text': Buffer.from('instructions of the host'),
    '.nv_fatbin': Buffer.concat([rich, Buffer.alloc(8), fatBinary(entry(ptx, 52, 'ptx of 52'))]),
    '.symtab': Buffer.from('symbols'),
    '.strtab': Buffer.from('names'),
  });

  it('keeps the code of one architecture, at its place, and everything that is not for a GPU', () => {
    const { pruned, kept, dropped } = prune(library, 90);
    expect(pruned.length).toBe(library.length);
    expect(pruned.includes('code for 90')).toBe(true);
    expect(pruned.includes('instructions of the host')).toBe(true);
    for (const gone of ['code for 80', 'code for 86', 'ptx of 90', 'symbols', 'names']) {
      expect(pruned.includes(gone), gone).toBe(false);
    }
    expect([kept, dropped]).toEqual([2 * 96, 3 * 96 + 12]);
    // The kept entry is now the first one, and the length in front of it says that it is the only one.
    const place = pruned.indexOf('code for 90');
    expect(pruned.readUInt32LE(place - 64 - 16)).toBe(0xba55ed50);
    expect(pruned.readBigUInt64LE(place - 64 - 8)).toBe(96n);
  });

  it('takes the latest code that runs on an architecture, and leaves PTX where there is none', () => {
    const { pruned } = prune(library, 89);
    expect(pruned.includes('code for 86')).toBe(true);
    expect(pruned.includes('code for 80')).toBe(false);
    expect(pruned.includes('code for 90')).toBe(false);
    expect(pruned.includes('ptx of 52')).toBe(true);
    expect(prune(library, 100).pruned.includes('ptx of 90')).toBe(true);
  });

  it('says what is no library', () => {
    expect(() => prune(Buffer.from('not a library at all'.repeat(9)), 90)).toThrow(
      /is no 64-bit ELF library/,
    );
  });
});
