import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A folder for the runs of a whole test file, gone after it. */
export function openRunFolder(): { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'rondo-runs-'));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  return { path };
}
