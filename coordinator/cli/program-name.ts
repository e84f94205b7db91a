import { basename, relative } from 'node:path';
import { shellWord } from '../../runtime/shell-word.js';

/** How the person can call this program again: by its name when it is installed, else as `node FILE`. */
export function programName(argv: readonly string[] = process.argv): string {
  const script = argv[1] ?? '';
  if (basename(script) === 'coordinator') return 'coordinator';
  const near = relative(process.cwd(), script);
  return `node ${shellWord(near.startsWith('..') ? script : near)}`;
}
