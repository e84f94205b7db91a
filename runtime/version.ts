import { existsSync, readFileSync } from 'node:fs';

/** The version in Rondo's package.json. Coordinator and workers of a run must be of one version. */
export const version = readVersion();

function readVersion(): string {
  let url = new URL('../package.json', import.meta.url);
  // Compiled code lies one folder deeper than its source.
  if (!existsSync(url)) url = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version;
}
