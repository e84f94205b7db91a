import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parseAst } from 'vitest/node';

// An argument list lies on the stack: `Math.max(...values)` and `list.push(...more)` throw from some hundred
// thousand values on.

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

/**
 * The lines of calls with an argument that is spread, unless it is what the function around got as its rest.
 */
function findSpreads(text: string): number[] {
  const rest = new Set<unknown>();
  const found: number[] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { type, argument, arguments: given } = node as Node;
    if (type === 'RestElement') rest.add((argument as Node).name);
    // Of a list neither is there.
    if (type === 'CallExpression' || type === 'NewExpression') {
      for (const each of given as Node[]) {
        if (each.type !== 'SpreadElement' || rest.has((each.argument as Node).name)) continue;
        found.push(text.slice(0, each.start).split('\n').length);
      }
    }
    for (const child of Object.values(node)) visit(child);
  };
  visit(parseAst(text, { lang: 'ts' }));
  return found;
}

test('spreads in calls are found, and those of lists, objects and rests are not', () => {
  expect(findSpreads('Math.max(0, ...values);\nnew Set(...a);\nf(...g(\n...h));')).toEqual([1, 2, 3, 4]);
  expect(findSpreads('const f = (...rest: number[]) => [...rest, g({ ...o }, [...list], ...rest)];')).toEqual(
    [],
  );
});

test('no call spreads data over its arguments', () => {
  const rooms = ['bench', 'coordinator', 'plan', 'proto', 'runtime', 'worker'];
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', ...rooms], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\n')
    .filter((file) => file.endsWith('.ts'));
  expect(files.length).toBeGreaterThan(100);
  const found = files.flatMap((file) =>
    findSpreads(readFileSync(join(root, file), 'utf8')).map((line) => `${file}:${line}`),
  );
  expect(found).toEqual([]);
});
