import { basename, relative } from 'node:path';

/** How the person can call this program again: by its name when it is installed, else as `node FILE`. */
export function programName(argv: readonly string[] = process.argv): string {
  const script = argv[1] ?? '';
  if (basename(script) === 'coordinator') return 'coordinator';
  const near = relative(process.cwd(), script);
  return `node ${near.startsWith('..') ? script : near}`;
}
