import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { killCoordinators, runCoordinator } from '../support/coordinator-process.js';
import { openQuickRuns } from '../support/quick-run.js';
import { drawTinyFolder } from '../support/tiny-folder.js';

const runs = openQuickRuns();
let data: string;

beforeAll(async () => {
  data = await drawTinyFolder(10);
});
afterEach(killCoordinators);
afterAll(() => {
  runs.remove();
  rmSync(data, { recursive: true, force: true });
});

it.each([
  ['evil.pth', /it asks for (posix|nt)\.system/],
  [
    'legacy.pth',
    /missing: bn1\.weight, .* not part of this network: half, .* of another shape: conv1\.weight/,
  ],
])('weights that cannot be used end the run as wrong input: %s', async (name, message) => {
  const file = fileURLToPath(new URL(`../support/weights/${name}`, import.meta.url));
  const inputs = runs.start(name.replace('.', '-'), data, '--pretrained', file, '--epochs', '1');
  const { code, stderr } = await runCoordinator(inputs);
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
});
