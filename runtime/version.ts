import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { parseJson } from './parse-json.js';

/** The version in Rondo's package.json. Coordinator and workers of a run must be of one version. */
export const version = readVersion();

function readVersion(): string {
  let url = new URL('../package.json', import.meta.url);
  // Compiled code lies one folder deeper than its source.
  if (!existsSync(url)) url = new URL('../../package.json', import.meta.url);
  return parseJson(z.object({ version: z.string() }), readFileSync(url, 'utf8'), { name: 'package.json' })
    .version;
}
