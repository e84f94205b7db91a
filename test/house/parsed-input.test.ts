import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, test } from 'vitest';
import { parseAst } from 'vitest/node';

// What another process wrote is read by a schema. `JSON.parse` says `any`, which fits every type that the
// code around it claims: so it is called in one place, which takes a schema.

const root = fileURLToPath(new URL('../..', import.meta.url));
const programs = ['bench', 'coordinator', 'plan', 'proto', 'runtime', 'worker'];
const parser = 'runtime/parse-json.ts';
const threads = 'runtime/thread-calls.ts';

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

/** Lines that read JSON without a schema, and those that take messages of threads and processes as they are. */
function findUnparsed(text: string): { json: number[]; messages: number[] } {
  const found = { json: [] as number[], messages: [] as number[] };
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { type, start, object, property, name } = node as Node;
    const line = () => text.slice(0, start).split('\n').length;
    const [of, member] = [(object as Node | undefined)?.name, (property as Node | undefined)?.name];
    if (type === 'MemberExpression' && of === 'JSON' && member === 'parse') found.json.push(line());
    // Response.json() and its like; a schema's own method of that name is not among them.
    if (type === 'CallExpression' && calls(node as Node, 'json') && of !== 'z') found.json.push(line());
    if (type === 'Identifier' && (name === 'workerData' || name === 'parentPort'))
      found.messages.push(line());
    if (type === 'CallExpression' && listensTo(node as Node)) found.messages.push(line());
    for (const child of Object.values(node)) visit(child);
  };
  visit(parseAst(text, { lang: 'ts' }));
  return found;
}

function calls({ callee, arguments: given }: Node, method: string): boolean {
  const { type, property } = callee as Node;
  return type === 'MemberExpression' && (property as Node).name === method && (given as Node[]).length === 0;
}

function listensTo({ callee, arguments: given }: Node): boolean {
  const { type, property } = callee as Node;
  const isOn =
    type === 'MemberExpression' && /^(?:on|once|addListener)$/.test(String((property as Node).name));
  return isOn && (given as Node[])[0]?.value === 'message';
}

function sources(): { file: string; text: string }[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', ...programs], {
    cwd: root,
    encoding: 'utf8',
  });
  return listed
    .split('\n')
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));
}

test('the programs and benches read JSON by a schema, and messages of threads in one place', () => {
  const all = sources();
  expect(all.length).toBeGreaterThan(100);
  expect(findUnparsed(all.find(({ file }) => file === parser)!.text).json).toHaveLength(1);
  const found = all.flatMap(({ file, text }) => {
    const { json, messages } = findUnparsed(text);
    return [...(file === parser ? [] : json), ...(file === threads ? [] : messages)].map(
      (line) => `${file}:${line}`,
    );
  });
  expect(found).toEqual([]);
});

it.each([
  ['const a = JSON.parse(text) as Thing;', [1], []],
  ['const a: Thing = JSON.parse(text);', [1], []],
  ['f(\n  JSON.parse(text),\n);', [2], []],
  ['const read = JSON.parse;', [1], []],
  ['return_(await response.json());', [1], []],
  ['const { a } = workerData as Thing;', [], [1]],
  ["process.on('message', (a: Thing) => f(a));", [], [1]],
  ["parentPort!.once('message', f);", [], [1, 1]],
  ["server.on('listening', f); JSON.stringify(a); // JSON.parse(text)", [], []],
  ['parseJson(schema, text, source);', [], []],
])('%j', (text, json, messages) => {
  expect(findUnparsed(text)).toEqual({ json, messages });
});
