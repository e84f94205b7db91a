import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, test } from 'vitest';
import { parseAst } from 'vitest/node';

// Names of files and messages of other programs may hold what a terminal obeys. So a program writes to its own
// streams by `writeLines`, which shows it instead, or as JSON with escapes.

const root = fileURLToPath(new URL('../..', import.meta.url));
const programs = ['coordinator', 'plan', 'proto', 'runtime', 'worker'];
const allowed = ['runtime/log.ts', 'coordinator/main.ts'];

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

/** Lines that write to standard output or standard error as they are told. */
function findWrites(text: string): number[] {
  const found: number[] = [];
  const name = (node: unknown) => (node as Node | undefined)?.name;
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { type, start, object, property } = node as Node;
    const of = object as Node | undefined;
    const isStream =
      type === 'MemberExpression' &&
      of?.type === 'MemberExpression' &&
      name(of.object) === 'process' &&
      /^std(?:out|err)$/.test(String(name(of.property))) &&
      name(property) === 'write';
    const isConsole = type === 'MemberExpression' && name(object) === 'console';
    if (isStream || isConsole) found.push(text.slice(0, start).split('\n').length);
    for (const child of Object.values(node)) visit(child);
  };
  visit(parseAst(text, { lang: 'ts' }));
  return found;
}

test('programs write nothing to a terminal as it is', () => {
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', ...programs], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\n')
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'));
  expect(files.length).toBeGreaterThan(100);
  const found = files
    .filter((file) => !allowed.includes(file))
    .flatMap((file) => findWrites(readFileSync(join(root, file), 'utf8')).map((line) => `${file}:${line}`));
  expect(found).toEqual([]);
});

it.each([
  ['process.stderr.write(text);', [1]],
  ['f();\nreturn_(process.stdout.write(text));', [2]],
  ['console.error(error);', [1]],
  ['writeLines(process.stderr, [text]); file.write(text);', []],
])('%j', (text, lines) => {
  expect(findWrites(text)).toEqual(lines);
});
