import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Where a peer's script beside a bench's source lies: the compiler copies none to dist/. */
export function peerScript(bench: string, name: string): string {
  const places = [`../${bench}/${name}`, `../../../bench/${bench}/${name}`];
  const files = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  return files.find((file) => existsSync(file)) ?? files[0]!;
}
