import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { RondoError } from '../errors.js';

/** Paths of one block: more take less memory each, and longer to look one up. */
export const pathsPerBlock = 128;

/** Cannot be in a path. */
const end = '\0';

/** A list of paths, of which a block at a time is deflated: names of one data set are much alike. */
export class PathBlocks {
  #pending: string[] = [];
  /** Where each block begins in `#bytes`, and where the last one ends. */
  #starts = [0];
  #bytes = Buffer.alloc(1 << 12);
  #read: { readonly block: number; readonly paths: readonly string[] } = { block: -1, paths: [] };

  append(path: string): void {
    if (path.includes(end)) {
      throw new RondoError('invalid-argument', `the path ${JSON.stringify(path)} holds a NUL character`);
    }
    this.#pending.push(path);
    if (this.#pending.length === pathsPerBlock) this.#deflate();
  }

  /** `block`: what `block` gives of another list, all of whose paths come next. */
  appendBlock(block: Uint8Array): void {
    const last = this.#starts.at(-1)!;
    const needed = last + block.length;
    if (needed > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(needed, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, last));
      this.#bytes = larger;
    }
    this.#bytes.set(block, last);
    this.#starts.push(needed);
  }

  /** Ends the list: only then can it be read. */
  finish(): void {
    if (this.#pending.length > 0) this.#deflate();
    this.#bytes = Buffer.from(this.#bytes.subarray(0, this.#starts.at(-1)!));
  }

  at(index: number): string {
    const block = Math.floor(index / pathsPerBlock);
    if (this.#read.block !== block) {
      this.#read = { block, paths: inflateRawSync(this.block(block)).toString().split(end) };
    }
    return this.#read.paths[index % pathsPerBlock]!;
  }

  /** Deflated. */
  block(block: number): Uint8Array {
    return this.#bytes.subarray(this.#starts[block]!, this.#starts[block + 1]!);
  }

  /** Of memory. */
  get bytes(): number {
    return this.#bytes.length + 8 * this.#starts.length;
  }

  #deflate(): void {
    this.appendBlock(deflateRawSync(this.#pending.join(end)));
    this.#pending = [];
  }
}
