import { mkdirSync, mkdtempSync, readdirSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { drawSample } from '../../coordinator/dataset/sample.js';

export interface Halves {
  /** Holds both folders. */
  readonly root: string;
  /** Folders with a sub-folder for each of five classes. */
  readonly first: string;
  readonly second: string;
}

/** The sample set's ten classes, every other one in each half. */
export async function drawHalves(perClass: number): Promise<Halves> {
  const root = mkdtempSync(path.join(tmpdir(), 'rondo-halves-'));
  const signal = new AbortController().signal;
  const drawn = await drawSample({ cacheDir: root, perClass, signal, onProgress() {} });
  const halves = { root, first: path.join(root, 'first'), second: path.join(root, 'second') };
  mkdirSync(halves.first);
  mkdirSync(halves.second);
  for (const [index, name] of readdirSync(drawn).sort().entries()) {
    renameSync(path.join(drawn, name), path.join(index % 2 === 0 ? halves.first : halves.second, name));
  }
  return halves;
}
