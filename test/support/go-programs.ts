import { loadScript } from '../scripts/load-script.js';

interface Report {
  say(text: string): void;
  progress(text: string): void;
  endProgress(): void;
}

const script = await loadScript<{
  hasGo(): Promise<boolean>;
  buildGoPrograms(folder: string, report: Report): Promise<string>;
}>('./go-programs.mjs');

export const hasGo = script.hasGo;

/** The folder of a Go module's programs, built once into the cache. */
export function buildGoPrograms(folder: string): Promise<string> {
  const say = (text: string) => process.stderr.write(`${text}\n`);
  return script.buildGoPrograms(folder, { say, progress: say, endProgress() {} });
}
