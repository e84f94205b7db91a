import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  scripts: Record<string, string>;
};

// .npmrc leaves out install scripts of packages (ignore-scripts), and npm then leaves out pre- and
// post-scripts as well.
it.each(['start', 'test'])('npm %s sets up by itself, not by a script that npm leaves out', (name) => {
  expect(scripts[name]).toMatch(/^node scripts\/setup\.mjs && /);
  expect(Object.keys(scripts).filter((other) => /^(pre|post)(start|test)$/.test(other))).toEqual([]);
});
