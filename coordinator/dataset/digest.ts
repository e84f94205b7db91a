import { createHash } from 'node:crypto';

/** A data set's digest for a run whose order depends on the shards too: another pack of it is another one. */
export function digestWithShards(digest: string, shards: readonly { readonly digest: string }[]): string {
  return createHash('sha256')
    .update(JSON.stringify([digest, ...shards.map((shard) => shard.digest)]))
    .digest('hex');
}

/**
 * SHA-256 (hex) over the class names and every sample's path, label and digest of its file, in the order
 * given. A split that is drawn is not in it: the seed and the counts decide that. `valid`, the positions of
 * the samples that a folder or a table gives for validation, is.
 */
export function digestSamples(
  classes: readonly string[],
  samples: Iterable<{ path: string; label: number; digest: string }>,
  valid?: Iterable<number>,
): string {
  const hash = createHash('sha256').update(`${JSON.stringify(classes)}\n`);
  for (const { path, label, digest } of samples) hash.update(`${JSON.stringify([path, label, digest])}\n`);
  if (valid !== undefined) hash.update(`${JSON.stringify(['valid', ...valid])}\n`);
  return hash.digest('hex');
}
