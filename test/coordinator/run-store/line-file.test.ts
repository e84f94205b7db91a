import { constants } from 'node:buffer';
import {
  appendFileSync,
  closeSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { openLineFile, readLines } from '../../../coordinator/run-store/line-file.js';
import { collect } from '../../support/collect.js';
import { temporaryFolder } from '../../support/tiny-run.js';

const anything = z.unknown();

it('appends over several openings', async () => {
  const path = join(temporaryFolder(), 'lines.jsonl');
  for (const value of [1, 2]) {
    const file = openLineFile(path);
    file.append({ value });
    file.sync();
    file.close();
    file.close();
  }
  expect(await collect(readLines(path, anything))).toEqual([{ value: 1 }, { value: 2 }]);
});

it('passes over half a line at the end, and cuts it off before writing on', async () => {
  const path = join(temporaryFolder(), 'lines.jsonl');
  writeFileSync(path, '{"value":1}\n{"val');
  expect(await collect(readLines(path, anything))).toEqual([{ value: 1 }]);
  const file = openLineFile(path);
  file.append({ value: 2 });
  file.close();
  expect(readFileSync(path, 'utf8')).toBe('{"value":1}\n{"value":2}\n');
});

it('cuts off half a line of any length', () => {
  for (const half of [0, 1, 65_535, 65_536, 200_000]) {
    const path = join(temporaryFolder(), 'lines.jsonl');
    writeFileSync(path, `{"value":1}\n${'x'.repeat(half)}`);
    openLineFile(path).close();
    expect(readFileSync(path, 'utf8')).toBe('{"value":1}\n');
  }
});

it('names the line that is not JSON', async () => {
  const path = join(temporaryFolder(), 'lines.jsonl');
  writeFileSync(path, '{}\n');
  appendFileSync(path, 'nonsense\n{}\n');
  await expect(collect(readLines(path, anything))).rejects.toThrow(/lines\.jsonl, line 2, is not JSON/);
});

it('names the line and the field that do not fit', async () => {
  const path = join(temporaryFolder(), 'lines.jsonl');
  writeFileSync(path, '{"value":1}\n{"value":"2"}\n');
  const lines = collect(readLines(path, z.object({ value: z.number() })));
  await expect(lines).rejects.toMatchObject({
    code: 'data-loss',
    message: expect.stringMatching(/lines\.jsonl, line 2: value: .*expected number, received string$/),
  });
});

it('says that the disk is full', () => {
  const file = openLineFile('/dev/full');
  expect(() => file.append({ value: 1 })).toThrow(expect.objectContaining({ code: 'resource-exhausted' }));
  file.close();
});

it('reads lines that are cut anywhere, characters included', async () => {
  const path = join(temporaryFolder(), 'lines.jsonl');
  const lines = Array.from({ length: 3000 }, (_, index) => ({ index, text: 'é…😀'.repeat(index % 400) }));
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const seen: number[] = [];
  const size = statSync(path).size;
  expect(size).toBeGreaterThan(3 << 20);
  expect(await collect(readLines(path, anything, ({ done, total }) => seen.push(done, total)))).toEqual(
    lines,
  );
  expect(seen.length).toBeGreaterThan(4);
  expect(seen.slice(-2)).toEqual([size, size]);
});

it('reads a file that is longer than any string can be', async () => {
  const path = join(temporaryFolder(), 'lines.jsonl');
  const line = `{"value":1}${' '.repeat((1 << 20) - 12)}\n`;
  const file = openSync(path, 'w');
  const count = 1 + Math.ceil(constants.MAX_STRING_LENGTH / line.length);
  for (let written = 0; written < count; written += 1) writeSync(file, line);
  closeSync(file);
  let read = 0;
  for await (const value of readLines(path, anything)) {
    expect(value).toEqual({ value: 1 });
    read += 1;
  }
  rmSync(path);
  expect(read).toBe(count);
}, 60_000);

it('writes nothing after it was closed, to no other file either', () => {
  const folder = temporaryFolder();
  const file = openLineFile(join(folder, 'lines.jsonl'));
  file.close();
  // Takes the descriptor that has become free.
  const other = openLineFile(join(folder, 'other.jsonl'));
  file.append({ late: true });
  file.sync();
  other.close();
  expect(readFileSync(join(folder, 'other.jsonl'), 'utf8')).toBe('');
  expect(readFileSync(join(folder, 'lines.jsonl'), 'utf8')).toBe('');
});
