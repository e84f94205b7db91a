import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openLineFile, readLines } from '../../../coordinator/run-store/line-file.js';
import { temporaryFolder } from '../../support/tiny-run.js';

it('appends over several openings', () => {
  const path = join(temporaryFolder(), 'lines.jsonl');
  for (const value of [1, 2]) {
    const file = openLineFile(path);
    file.append({ value });
    file.sync();
    file.close();
    file.close();
  }
  expect(readLines(path)).toEqual([{ value: 1 }, { value: 2 }]);
});

it('passes over half a line at the end, and cuts it off before writing on', () => {
  const path = join(temporaryFolder(), 'lines.jsonl');
  writeFileSync(path, '{"value":1}\n{"val');
  expect(readLines(path)).toEqual([{ value: 1 }]);
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

it('names the line that is not JSON', () => {
  const path = join(temporaryFolder(), 'lines.jsonl');
  writeFileSync(path, '{}\n');
  appendFileSync(path, 'nonsense\n{}\n');
  expect(() => readLines(path)).toThrow(/lines\.jsonl, line 2, is not JSON/);
});

it('says that the disk is full', () => {
  const file = openLineFile('/dev/full');
  expect(() => file.append({ value: 1 })).toThrow(expect.objectContaining({ code: 'resource-exhausted' }));
  file.close();
});
