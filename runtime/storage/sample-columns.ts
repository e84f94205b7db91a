import { RondoError } from '../errors.js';
import { PathBlocks, pathsPerBlock } from './path-blocks.js';
import type { StoredSample } from './sample-reader.js';

/** An image of a data set. */
export interface Sample extends StoredSample {
  /** Index into the data set's classes. */
  readonly label: number;
  /** In pixels, upright. */
  readonly width: number;
  readonly height: number;
}

/** A list of samples, whose positions are their ids. An array of them is one. */
export interface Samples extends Iterable<Sample> {
  readonly length: number;
  /** Undefined where there is none. */
  at(id: number): Sample | undefined;
}

/** Some consecutive samples: of each number the bytes of a column, low byte first, as wide as it must be. */
export interface ColumnsPiece {
  readonly count: number;
  readonly label: Uint8Array;
  readonly width: Uint8Array;
  readonly height: Uint8Array;
  /** Where the data set has shards, and else empty: as in `StoredSample.range`. */
  readonly shard: Uint8Array;
  readonly block: Uint8Array;
  readonly size: Uint8Array;
  /** SHA-256, 32 bytes each. */
  readonly digest: Uint8Array;
  /** Of `PathBlocks`. */
  readonly paths: readonly Uint8Array[];
}

const imageColumns = ['label', 'width', 'height'] as const;
const rangeColumns = ['shard', 'block', 'size'] as const;
type ColumnName = (typeof imageColumns | typeof rangeColumns)[number];
const digestBytes = 32;
type Numbers = Uint8Array | Uint16Array | Uint32Array;
const widths = [Uint8Array, Uint16Array, Uint32Array] as const;

/**
 * Samples in columns: about 56 bytes each where they lie in shards, whose names are as ImageNet's, and 48 where each
 * is a file. Objects are made when they are asked for, and their paths and digests only then.
 */
export class SampleColumns implements Samples {
  readonly #capacity: number;
  readonly #columns: Record<ColumnName, Numbers>;
  readonly #digests: Buffer;
  readonly #paths = new PathBlocks();
  #length = 0;
  #ranged = false;

  /** @param capacity how many samples there will be */
  constructor(capacity: number) {
    const column = () => new Uint8Array(capacity);
    this.#capacity = capacity;
    this.#columns = {
      ...{ label: column(), width: column(), height: column() },
      ...{ shard: new Uint8Array(0), block: new Uint8Array(0), size: new Uint8Array(0) },
    };
    this.#digests = Buffer.alloc(capacity * digestBytes);
  }

  /** `samples` themselves where they are in columns. */
  static from(samples: Samples): SampleColumns {
    if (samples instanceof SampleColumns) return samples;
    const columns = new SampleColumns(samples.length);
    for (const sample of samples) columns.append(sample);
    return columns.finish();
  }

  /** Those of `samples` at `ids`, in their order. */
  static pick(samples: Samples, ids: Uint32Array): SampleColumns {
    const columns = new SampleColumns(ids.length);
    for (const id of ids) columns.append(samples.at(id)!);
    return columns.finish();
  }

  get length(): number {
    return this.#length;
  }

  /** Of memory. */
  get bytes(): number {
    const columns = Object.values(this.#columns).reduce((sum, { byteLength }) => sum + byteLength, 0);
    return columns + this.#digests.byteLength + this.#paths.bytes;
  }

  append({ label, width, height, range, digest, path }: Sample): void {
    this.#reserve(1, range !== undefined);
    const at = this.#length;
    this.#set('label', at, label);
    this.#set('width', at, width);
    this.#set('height', at, height);
    if (range !== undefined) {
      this.#set('shard', at, range.shard);
      this.#set('block', at, range.block);
      this.#set('size', at, range.bytes);
    }
    if (this.#digests.write(digest, at * digestBytes, digestBytes, 'hex') !== digestBytes) {
      throw new RondoError('invalid-argument', `the digest of ${path} is no SHA-256: ${digest}`);
    }
    this.#paths.append(path);
    this.#length += 1;
  }

  /** What `pieces` of another list gives comes next. Throws data-loss for what is none. */
  appendPiece(piece: ColumnsPiece): void {
    const { count, digest, paths, size } = piece;
    const whole =
      digest.length === count * digestBytes &&
      paths.length === Math.ceil(count / pathsPerBlock) &&
      this.#length % pathsPerBlock === 0;
    if (!whole) throw notWhole();
    this.#reserve(count, size.length > 0);
    for (const name of [...imageColumns, ...(this.#ranged ? rangeColumns : [])]) {
      this.#put(name, piece[name], count);
    }
    this.#digests.set(digest, this.#length * digestBytes);
    for (const block of paths) this.#paths.appendBlock(block);
    this.#length += count;
  }

  /** Ends the list: only then can it be read. Throws data-loss where there are fewer than there were to be. */
  finish(): this {
    if (this.#length !== this.#capacity) throw notWhole();
    this.#paths.finish();
    return this;
  }

  at(id: number): Sample | undefined {
    if (!(id >= 0 && id < this.#length)) return undefined;
    const { label, width, height, shard, block, size } = this.#columns;
    const digests = this.#digests;
    const paths = this.#paths;
    const range = { shard: shard[id]!, block: block[id]!, bytes: size[id]! };
    return {
      ...{ label: label[id]!, width: width[id]!, height: height[id]! },
      ...(this.#ranged ? { range } : {}),
      get digest() {
        return digests.toString('hex', id * digestBytes, (id + 1) * digestBytes);
      },
      get path() {
        return paths.at(id);
      },
    };
  }

  *[Symbol.iterator](): Generator<Sample, void, void> {
    for (let id = 0; id < this.#length; id += 1) yield this.at(id)!;
  }

  /** All samples, about `pieceBytes` of them at a time: more by a block of paths at most. */
  *pieces(pieceBytes: number): Generator<ColumnsPiece, void, void> {
    const each = (this.bytes - this.#paths.bytes) / Math.max(1, this.#length);
    for (let from = 0; from < this.#length; ) {
      const paths: Uint8Array[] = [];
      let [to, bytes] = [from, 0];
      while (to < this.#length && (bytes < pieceBytes || to === from)) {
        const block = this.#paths.block(to / pathsPerBlock);
        paths.push(block);
        to = Math.min(to + pathsPerBlock, this.#length);
        bytes += block.length + pathsPerBlock * each;
      }
      const cut = (column: Numbers) => {
        const { buffer, byteOffset, byteLength } = column.subarray(from, to);
        return new Uint8Array(buffer, byteOffset, byteLength);
      };
      const { label, width, height, shard, block, size } = this.#columns;
      yield {
        count: to - from,
        ...{ label: cut(label), width: cut(width), height: cut(height) },
        ...{ shard: cut(shard), block: cut(block), size: cut(size) },
        digest: this.#digests.subarray(from * digestBytes, to * digestBytes),
        paths,
      };
      from = to;
    }
  }

  #reserve(count: number, ranged: boolean): void {
    if (this.#length + count > this.#capacity) throw notWhole();
    if (this.#length > 0 && ranged !== this.#ranged) {
      throw new RondoError('invalid-argument', 'some samples lie in shards, and others do not');
    }
    if (ranged && !this.#ranged) {
      for (const name of rangeColumns) this.#columns[name] = new Uint8Array(this.#capacity);
    }
    this.#ranged = ranged;
  }

  #set(name: ColumnName, at: number, value: number): void {
    const column = this.#columns[name];
    column[at] = value;
    if (column[at] === value) return;
    if (!(Number.isInteger(value) && value >= 0 && value < 2 ** 32)) {
      throw new RondoError('invalid-argument', `${name} of a sample is ${value}`);
    }
    this.#widen(name, value < 2 ** 16 ? 2 : 4);
    this.#columns[name][at] = value;
  }

  #put(name: ColumnName, bytes: Uint8Array, count: number): void {
    const type = widths.find(({ BYTES_PER_ELEMENT }) => BYTES_PER_ELEMENT * count === bytes.length);
    if (type === undefined) throw notWhole();
    this.#widen(name, type.BYTES_PER_ELEMENT);
    // A copy, whose memory is aligned.
    const { buffer } = Uint8Array.from(bytes);
    this.#columns[name].set(new type(buffer), this.#length);
  }

  #widen(name: ColumnName, bytes: number): void {
    const column = this.#columns[name];
    if (column.BYTES_PER_ELEMENT >= bytes) return;
    const wider = new (bytes === 2 ? Uint16Array : Uint32Array)(this.#capacity);
    wider.set(column);
    this.#columns[name] = wider;
  }
}

function notWhole(): RondoError {
  return new RondoError('data-loss', 'the list of samples is not whole', { remedy: 'try again' });
}
