import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { posix } from 'node:path';
import { imageName } from '../../runtime/images.js';
import { isRemote, type Store } from '../../runtime/storage/store.js';
import type { Verifiers } from '../../runtime/verification/verifiers.js';
import type { Finding } from '../../runtime/verification/verify-image.js';
import { openTarEntries, type TarEntry } from './tar-entries.js';

/** A sample's image in a tar, and its class. */
export interface UsableSample extends Omit<Extract<Finding, { readonly usable: true }>, 'usable'> {
  /** Of the image's file in the tar. */
  readonly name: string;
  readonly start: number;
  readonly size: number;
  readonly label: string;
}

export interface ReadTar {
  /** In the order of the tar. */
  readonly samples: readonly (UsableSample | { readonly name: string; readonly reason: string })[];
  readonly bytes: number;
  /** Of the whole file. */
  readonly sha256: string;
}

const readBytes = 1 << 20;
/** Images of a tar that are in hand at most, for each that is decoded. */
const imagesInHand = 2;

/** Reads a tar from end to end, decoding each sample's image. Rejects as `Store.read` and `openTarEntries` do. */
export async function readTar(
  store: Store,
  name: string,
  o: { readonly verifiers: Pick<Verifiers, 'width' | 'verify'>; readonly signal: AbortSignal },
): Promise<ReadTar> {
  const { verifiers, signal } = o;
  const inHand = new Set<Promise<void>>();
  let state = beginTar(store.nameOf(name));
  const take = async (group: readonly TarEntry[]) => {
    const { found } = state;
    const sample = findSample(group);
    if (sample === null) return;
    const at = found.push({ name: sample.image.name, reason: 'was not read' }) - 1;
    while (inHand.size >= imagesInHand * verifiers.width) await Promise.race(inHand);
    const task = describe(sample, verifiers)
      .then((described) => {
        found[at] = described;
      })
      .finally(() => inHand.delete(task));
    inHand.add(task);
  };
  const sink = {
    async write(bytes: Buffer) {
      signal.throwIfAborted();
      state.hash.update(bytes);
      state.bytes += bytes.length;
      for (const entry of state.entries.write(bytes)) {
        const last = state.group.at(-1);
        if (last !== undefined && keyOf(last.name) !== keyOf(entry.name)) {
          const whole = state.group;
          state.group = [];
          await take(whole);
        }
        state.group.push(entry);
      }
    },
    restart() {
      state = beginTar(store.nameOf(name));
    },
  };
  if (isRemote(store)) await store.fetch(name, sink, { from: 0, signal });
  else {
    for await (const part of createReadStream(store.nameOf(name), { signal, highWaterMark: readBytes })) {
      await sink.write(part as Buffer);
    }
  }
  await take(state.group);
  state.entries.end();
  await Promise.all(inHand);
  return { samples: state.found, bytes: state.bytes, sha256: state.hash.digest('hex') };
}

function beginTar(archive: string) {
  return {
    entries: openTarEntries(archive),
    hash: createHash('sha256'),
    bytes: 0,
    group: [] as TarEntry[],
    found: [] as ReadTar['samples'][number][],
  };
}

/** As WebDataset has it: up to the first dot of the last part. */
function keyOf(name: string): string {
  const folder = posix.dirname(name);
  return `${folder}/${endingOf(name).key}`;
}

function endingOf(name: string): { readonly key: string; readonly ending: string } {
  const base = posix.basename(name);
  const dot = base.indexOf('.');
  if (dot < 0) return { key: base, ending: '' };
  return { key: base.slice(0, dot), ending: base.slice(dot + 1).toLowerCase() };
}

interface FoundSample {
  readonly image: TarEntry;
  readonly label: string;
}

/** Null for files that are no sample: without an image. The first image whose ending is nothing else counts. */
function findSample(group: readonly TarEntry[]): FoundSample | null {
  const image = group.find(({ name }) => imageName.test(`.${endingOf(name).ending}`) && !isMeta(name));
  if (image === undefined) return null;
  const own = (wanted: string) => group.find(({ name }) => endingOf(name).ending === wanted);
  const named = own('cls') ?? own('cls.txt') ?? own('label');
  const folder = posix.basename(posix.dirname(image.name));
  const label = named?.bytes.toString('utf8').trim() ?? (folder === '.' ? '' : folder);
  return { image, label: label.normalize() };
}

/** What describes the archive itself, as WebDataset's readers pass it over. */
function isMeta(name: string): boolean {
  return /^__.*__/.test(posix.basename(name));
}

async function describe(
  { image, label }: FoundSample,
  verifiers: Pick<Verifiers, 'verify'>,
): Promise<ReadTar['samples'][number]> {
  const { name, start, bytes } = image;
  if (label === '') return { name, reason: 'has no class: neither KEY.cls nor a folder' };
  const { finding } = await verifiers.verify({ bytes });
  if (!finding.usable) return { name, reason: finding.reason };
  const { width, height, digest } = finding;
  return { name, start, size: bytes.length, label, width, height, digest };
}
