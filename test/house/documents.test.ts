import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const tracked = ['ls-files', '--cached', '--others', '--exclude-standard'];
const files = execFileSync('git', tracked, { cwd: root, encoding: 'utf8' }).split('\n');

/** Files of the source that a text names between backticks, such as `run/train-run.ts`. */
function namedFiles(text: string): string[] {
  return [...text.matchAll(/`(\w[\w./-]*\.(?:ts|mjs|proto))`/g)].map((match) => match[1]!);
}

it.each(['README.md', 'CONTRIBUTING.md', 'docs/architecture.md', 'docs/operating.md', 'bench/README.md'])(
  '%s names no file that is not there',
  (document) => {
    const named = namedFiles(readFileSync(join(root, document), 'utf8'));
    expect(named.filter((name) => !files.some((file) => file === name || file.endsWith(`/${name}`)))).toEqual(
      [],
    );
  },
);

it('finds the files that a text names', () => {
  expect(namedFiles('as `run/train-run.ts` and `setup.mjs` do; not `npm test`, x.ts')).toEqual([
    'run/train-run.ts',
    'setup.mjs',
  ]);
});
