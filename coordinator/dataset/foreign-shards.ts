import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { writeDurably } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import { imageName } from '../../runtime/images.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { parseJson } from '../../runtime/parse-json.js';
import { openStore } from '../../runtime/storage/open-store.js';
import { blockBytes } from '../../runtime/storage/sample-reader.js';
import { isRemote, isUrl, type Store } from '../../runtime/storage/store.js';
import { openVerifiers, type Verifiers, verifyHere } from '../../runtime/verification/verifiers.js';
import type { Quarantined } from './image-files.js';
import type { DatasetProgress } from './indexed-images.js';
import { compareText } from './order.js';
import {
  allocateColumns,
  decodeIndex,
  encodeIndex,
  type IndexHeader,
  indexName,
  readIndex,
  type ShardIndex,
} from './shard-index.js';
import { readTar, type UsableSample } from './tar-samples.js';
import { isMuch } from './verify.js';

/** Tar files without an index: a folder or URL, and their names there. */
export interface ForeignShards {
  readonly root: string;
  readonly names: readonly string[];
}

/** Raised when the same tars give another index. */
const indexVersion = 1;

/**
 * The tar files that `data` names: one, a pattern such as train-{000000..000146}.tar, or, of this machine, a
 * folder of them beside which no images lie. Null for anything else.
 */
export async function findForeignShards(data: string): Promise<ForeignShards | null> {
  const place = isUrl(data) ? data.replace(/%7B/gi, '{').replace(/%7D/gi, '}') : path.resolve(data);
  const cut = place.lastIndexOf('/');
  const [root, last] = [place.slice(0, cut) || '/', place.slice(cut + 1)];
  if (/\.(tar|tgz|tar\.\w+)$/i.test(last)) {
    const found = isUrl(data) ? null : await stat(place).catch(() => null);
    return found?.isDirectory() ? null : { root, names: expandPattern(last) };
  }
  if (isUrl(data)) return null;
  const names = await readdir(place).catch((): string[] => []);
  if (names.some((name) => imageName.test(name)) || names.includes(indexName)) return null;
  const tars = names.filter((name) => name.endsWith('.tar') && !name.startsWith('.')).sort(compareText);
  return tars.length === 0 ? null : { root: place, names: tars };
}

/** As WebDataset expands it: {000..146}, with its zeros, and {a,b}. */
export function expandPattern(pattern: string): string[] {
  const match = /^(.*?)\{([^{}]*)\}(.*)$/.exec(pattern);
  if (match === null) return [pattern];
  const [, before, inside, after] = match as unknown as [string, string, string, string];
  const range = /^(\d+)\.\.(\d+)$/.exec(inside);
  const parts =
    range === null
      ? inside.split(',')
      : Array.from({ length: Number(range[2]) - Number(range[1]) + 1 }, (_, index) =>
          String(Number(range[1]) + index).padStart(range[1]!.length, '0'),
        );
  return parts.flatMap((part) => expandPattern(`${before}${part}${after}`));
}

export interface ForeignOptions {
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  onProgress(progress: DatasetProgress): void;
}

/** What the tars hold, and what of it cannot be used. */
export interface ForeignIndex extends ShardIndex {
  readonly quarantined: readonly Quarantined[];
}

const quarantinedSchema = z.array(z.object({ path: z.string(), reason: z.string() }));

/**
 * The index of tar files as WebDataset writes them: of each sample files KEY.ENDING one after the other, an image
 * among them, and `.cls` with its class; without one the key's folder is the class. Every tar is read once, and
 * every image decoded; the result is kept in `cacheDir` until a tar has another size or date,
 * on a server another size or ETag (a date, where the server gives none).
 *
 * @throws RondoError for a tar that cannot be read or is compressed, and where no sample is found.
 */
export async function indexForeign(foreign: ForeignShards, o: ForeignOptions): Promise<ForeignIndex> {
  const store = openStore(foreign.root);
  try {
    const names = chooseSets(foreign.names);
    const tars: TarStamp[] = [];
    for (const name of names) tars.push(await stampOf(store, name, o.signal));
    const stamps = tars.map(({ stamp }) => stamp);
    const identity = createHash('sha256').update(JSON.stringify([indexVersion, store.place, names, stamps]));
    const folder = path.join(o.cacheDir, 'indexed');
    const file = path.join(folder, `${identity.digest('hex').slice(0, 32)}.rondo`);
    const known = await readIndex(file, { withPaths: true }).catch(() => null);
    if (known !== null) {
      const told = String(known.header.plan.quarantined);
      return { ...known, quarantined: parseJson(quarantinedSchema, told, { name: file }) };
    }
    const bytes = tars.reduce((sum, { size }) => sum + size, 0);
    const verifiers = isMuch(names.length, bytes) ? openVerifiers() : verifyHere(o);
    const { header, columns, paths, quarantined } = await readTars(store, names, { ...o, verifiers }).finally(
      verifiers.close,
    );
    const parts = [...encodeIndex(header, columns, paths)];
    // It only saves time.
    await keepIndex(folder, file, parts).catch(() => {});
    return { ...(await decodeIndex(Buffer.concat(parts), file)), quarantined };
  } finally {
    await store.close();
  }
}

async function keepIndex(folder: string, file: string, parts: readonly Uint8Array[]): Promise<void> {
  makeFolder(folder);
  await writeDurably(file, parts);
}

interface TarStamp {
  readonly size: number;
  /** Another one means that it may hold other bytes. */
  readonly stamp: unknown;
}

async function stampOf(store: Store, name: string, signal: AbortSignal): Promise<TarStamp> {
  if (isRemote(store)) {
    const { bytes, version } = await store.describe(name, signal);
    return { size: bytes, stamp: [bytes, version] };
  }
  const file = store.nameOf(name);
  const found = await stat(file).catch(() => null);
  if (found !== null) {
    const { size, mtimeMs, ctimeMs, ino } = found;
    return { size, stamp: [size, mtimeMs, ctimeMs, ino] };
  }
  throw new RondoError('not-found', `there is no file ${file}`, {
    remedy: 'check the name, or the range of the pattern',
  });
}

const setNames = { train: /^train/i, valid: /^val/i } as const;

function setOf(name: string): 'train' | 'valid' | null {
  return setNames.train.test(name) ? 'train' : setNames.valid.test(name) ? 'valid' : null;
}

/** Of tars named for both sets those that are: `test` takes no part. */
function chooseSets(names: readonly string[]): readonly string[] {
  return hasSets(names) ? names.filter((name) => setOf(name) !== null) : names;
}

function hasSets(names: readonly string[]): boolean {
  return ['train', 'valid'].every((set) => names.some((name) => setOf(name) === set));
}

async function readTars(
  store: Store,
  names: readonly string[],
  o: ForeignOptions & { readonly verifiers: Verifiers },
) {
  const samples: (UsableSample & { readonly path: string })[] = [];
  const quarantined: Quarantined[] = [];
  const shards: IndexHeader['shards'] = [];
  const withSets = hasSets(names);
  for (const [done, name] of names.entries()) {
    o.onProgress({ phase: 'reading', subject: 'the shards', done, total: names.length });
    const tar = await readTar(store, name, o);
    const before = samples.length;
    for (const sample of tar.samples) {
      const file = `${name}/${sample.name}`;
      if ('reason' in sample) quarantined.push({ path: file, reason: sample.reason });
      else samples.push({ ...sample, path: file });
    }
    const set = withSets ? setOf(name) : null;
    shards.push({ name, set, samples: samples.length - before, bytes: tar.bytes, sha256: tar.sha256 });
  }
  if (samples.length === 0) {
    const [first] = quarantined;
    const example = first === undefined ? '' : `: ${first.path} ${first.reason}`;
    throw new RondoError('invalid-argument', `there are no samples in ${store.nameOf(names[0]!)}${example}`, {
      remedy: 'of each sample an image and its class are looked for: KEY.jpg and KEY.cls, or CLASS/KEY.jpg',
    });
  }
  const classes = sortLabels(samples.map(({ label }) => label));
  const numbers = new Map(classes.map((label, number) => [label, number]));
  const columns = allocateColumns(samples.length);
  for (const [at, { start, size, label, width, height, digest }] of samples.entries()) {
    columns.position[at] = at;
    columns.block[at] = start / blockBytes;
    columns.size[at] = size;
    columns.label[at] = numbers.get(label)!;
    columns.width[at] = width;
    columns.height[at] = height;
    columns.digest.set(Buffer.from(digest, 'hex'), at * 32);
  }
  const header: IndexHeader = {
    plan: { version: indexVersion, quarantined: JSON.stringify(quarantined) },
    classes,
    validation: withSets ? 'the shards named val…' : null,
    shards,
  };
  return { header, columns, paths: samples.map(({ path: file }) => file), quarantined };
}

/** Numbers by their value, else by code point. */
function sortLabels(labels: readonly string[]): string[] {
  const distinct = [...new Set(labels)];
  const numeric = distinct.every((label) => /^\d{1,15}$/.test(label));
  return distinct.sort(numeric ? (a, b) => Number(a) - Number(b) : compareText);
}
