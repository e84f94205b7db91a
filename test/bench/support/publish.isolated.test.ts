import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { publish } from '../../../bench/support/publish.js';

const report = { bench: 'example', results: [1, 2] };
let folder: string;
let printed: string[];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rondo-publish-'));
  vi.spyOn(process, 'cwd').mockReturnValue(folder);
  printed = [];
  vi.spyOn(console, 'log').mockImplementation((text) => void printed.push(text));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

describe('publish', () => {
  it('prints the text, keeps the JSON in a file, and names it', () => {
    publish(report, 'a table', false);
    const [name] = readdirSync(path.join(folder, 'bench-results'));
    expect(name).toMatch(/^example-\d{8}T\d{6}Z\.json$/);
    expect(JSON.parse(readFileSync(path.join(folder, 'bench-results', name!), 'utf8'))).toEqual(report);
    expect(printed.join('\n')).toMatch(/^a table\n\nas JSON: .*bench-results\/example-.*\.json$/);
  });

  it('prints the JSON and nothing else when asked for it', () => {
    publish(report, 'a table', true);
    expect(printed.map((line) => JSON.parse(line))).toEqual([report]);
    expect(readdirSync(folder)).toEqual([]);
  });
});
