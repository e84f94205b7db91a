import type { IndexHeader } from '../dataset/shard-index.js';
import { type Encoding, encoderVersion } from './encode-image.js';
import type { KeyKind } from './keys.js';
import type { SampleOrder } from './order.js';

/** What decides the bytes of a pack beside the images. */
export interface PackOptions extends Encoding {
  readonly order: SampleOrder;
  readonly seed: number;
  readonly keys: KeyKind;
  /** Of a shard, at most, unless one image alone is more. */
  readonly shardBytes: number;
}

/** Raised when the same images and options give other bytes. */
const planVersion = 1;

/** What a pack was made from, and how, by the name that people know each by: two packs of one plan are the same. */
export type PackPlan = IndexHeader['plan'];

export function planPack(
  o: PackOptions,
  images: { readonly digest: string; readonly count: number },
): PackPlan {
  const encodes = o.resize !== null || o.quality !== null;
  return {
    version: planVersion,
    source: images.digest,
    images: images.count,
    order: o.order,
    seed: o.order === 'sorted' ? null : o.seed,
    keys: o.keys,
    'shard-size': o.shardBytes,
    resize: o.resize,
    quality: o.quality,
    encoder: encodes ? encoderVersion : null,
  };
}

/** In what two plans differ, for people; empty when they do not. */
export function comparePlans(found: PackPlan, wanted: PackPlan): string[] {
  if (found.source !== wanted.source) return ['other images'];
  const differ = Object.keys({ ...found, ...wanted }).filter(
    (name) => (found[name] ?? null) !== (wanted[name] ?? null),
  );
  const options = differ.filter((name) => optionNames.includes(name));
  return options.length > 0
    ? options.map((name) => `--${name} ${found[name] ?? 'not given'}`)
    : differ.map((name) => `${name} ${found[name] ?? 'none'}`);
}

const optionNames = ['order', 'seed', 'keys', 'shard-size', 'resize', 'quality'];
