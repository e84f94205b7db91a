import { readdir } from 'node:fs/promises';
import { imageName } from '../../runtime/images.js';

/**
 * Looks at a folder by the bytes of its names. Node reads names as UTF-8 and puts U+FFFD for whatever is
 * none, after which nothing of that name can be opened.
 */
export async function listUndecodable(folder: string): Promise<{
  /** Names that are UTF-8. */
  readonly names: ReadonlySet<string>;
  /** Images whose path inside the folder is not, with \xE9 for a byte that is none. */
  readonly images: readonly string[];
}> {
  const names = new Set<string>();
  const images: string[] = [];
  const walk = async (bytes: Buffer, shown: string, decodable: boolean): Promise<void> => {
    for (const entry of await readdir(bytes, { withFileTypes: true, encoding: 'buffer' })) {
      const name = entry.name.toString();
      const isDecodable = decodable && Buffer.from(name).equals(entry.name);
      if (isDecodable) names.add(name);
      if (isDecodable || name.startsWith('.')) continue;
      const below = `${shown}${showBytes(entry.name)}`;
      if (imageName.test(name)) images.push(below);
      else if (entry.isDirectory()) {
        await walk(Buffer.concat([bytes, Buffer.from('/'), entry.name]), `${below}/`, false).catch(() => {});
      }
    }
  };
  // The folder was listed a moment ago; what cannot be listed now has vanished, images and all.
  await walk(Buffer.from(folder), '', true).catch(() => {});
  return { names, images: images.sort() };
}

function showBytes(bytes: Buffer): string {
  const text = bytes.toString();
  if (Buffer.from(text).equals(bytes)) return text;
  return Array.from(bytes, (byte) =>
    byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16).toUpperCase()}`,
  ).join('');
}
