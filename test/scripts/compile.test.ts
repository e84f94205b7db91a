import { utimesSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { loadScript } from './load-script.js';

const { compileDigest } = await loadScript<{ compileDigest(): string }>('compile.mjs');
const { assembledKernels } = await loadScript<{ assembledKernels: readonly string[] }>('kernels.mjs');

it('has nothing to compile again because of what compiling made', () => {
  const before = compileDigest();
  expect(assembledKernels).not.toHaveLength(0);
  for (const file of assembledKernels) {
    const now = new Date();
    utimesSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), now, now);
  }
  expect(compileDigest()).toBe(before);
});
