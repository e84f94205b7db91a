import { createHash } from 'node:crypto';
import type { Sample } from '../../runtime/storage/sample-columns.js';

const digestOf = (id: number) => createHash('sha256').update(String(id)).digest('hex');
/** In an order without order, as numbers of photographs are. */
const scatter = (id: number) => Math.imul(id + 1, 2_654_435_761) >>> 0;

/** Images as ImageNet names them, 1,000 classes, each a file; made alike at each call. */
export function fileSamples(count: number): Sample[] {
  const perClass = Math.max(1, Math.ceil(count / 1_000));
  return Array.from({ length: count }, (_, id) => {
    const label = Math.floor(id / perClass);
    const folder = `n0${1_440_764 + 7_919 * label}`;
    return {
      path: `train/${folder}/${folder}_${scatter(id) % 30_000}.JPEG`,
      label,
      width: 100 + (scatter(id) % 900),
      height: 100 + (scatter(id + 1) % 900),
      digest: digestOf(id),
    };
  });
}

/** As many in shards, whose classes follow each other at random, one at a time. */
export function* packedSamples(count: number): Generator<Sample, void, void> {
  const perShard = 20_000;
  for (let id = 0; id < count; id += 1) {
    const label = scatter(id) % 1_000;
    const folder = `n0${1_440_764 + 7_919 * label}`;
    yield {
      path: `train/${folder}/${folder}_${scatter(id + count) % 30_000}.JPEG`,
      label,
      width: 100 + (scatter(id) % 900),
      height: 100 + (scatter(id + 1) % 900),
      digest: digestOf(id),
      range: {
        shard: Math.floor(id / perShard),
        block: 1 + 215 * (id % perShard),
        bytes: 90_000 + (scatter(id) % 20_000),
      },
    };
  }
}
