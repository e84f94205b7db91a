import { createHash } from 'node:crypto';

/**
 * SHA-256 (hex) over the class names and every sample's path, label and digest of its file, in the order given. The split is not in it:
 * the seed and the counts decide that, and pixels cached for one split serve another.
 */
export function digestSamples(
  classes: readonly string[],
  samples: readonly { path: string; label: number; digest: string }[],
): string {
  const hash = createHash('sha256').update(`${JSON.stringify(classes)}\n`);
  for (const { path, label, digest } of samples) hash.update(`${JSON.stringify([path, label, digest])}\n`);
  return hash.digest('hex');
}
