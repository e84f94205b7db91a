import type { Patience } from '../read-file.js';

/** How long a server is waited for. */
export interface HttpPatience {
  /** Tries in a row that bring nothing. */
  readonly tries: number;
  /** Before the second try, doubled with each; of that a random part is waited. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** A connection on which nothing arrives for so long is given up, or too little (http-reader.ts). */
  readonly stallMs: number;
}

/** Bytes `start` to `end` of a file; `end` does not belong to it. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Files under one place, whatever holds them. Its errors are RondoErrors that name the file. */
export interface Store {
  /** An absolute path or a URL, for people. */
  readonly place: string;
  /** Where a file is, for people. Throws permission-denied for a name that leads out of the place. */
  nameOf(file: string): string;
  /** The whole file, or a part of it, waiting for faults that pass. Rejects too when the signal comes. */
  read(file: string, range: ByteRange | null, signal?: AbortSignal): Promise<Buffer>;
  /** In bytes. */
  sizeOf(file: string, signal?: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

/** Takes a file's bytes as they arrive. */
export interface ByteSink {
  /** They follow what was written before. */
  write(bytes: Buffer): void | Promise<void>;
  /** The file has changed meanwhile: all that was written is of no use. */
  restart(): void | Promise<void>;
}

/** What a server tells of a file without sending it. */
export interface RemoteDescription {
  readonly bytes: number;
  /** With another one it may hold other bytes. Null: the server does not say. */
  readonly version: string | null;
}

/** A store beyond a network, so that what was read is worth keeping. */
export interface RemoteStore extends Store {
  describe(file: string, signal?: AbortSignal): Promise<RemoteDescription>;
  /** Brings a whole file, of which the sink has the first `from` bytes. */
  fetch(file: string, sink: ByteSink, o: { from: number; signal?: AbortSignal }): Promise<void>;
}

/** A file of this machine. */
export interface LocalFile {
  readonly path: string;
  readonly bytes: number;
  /** In hex. */
  readonly sha256: string;
}

/** A store that files can be put into. */
export interface WritableStore extends RemoteStore {
  /** The file has its name there once all of it has arrived, in place of what was there before. */
  put(file: string, source: LocalFile, signal?: AbortSignal): Promise<void>;
  /** With the digest of a file that `put` brought there. */
  describe(file: string, signal?: AbortSignal): Promise<RemoteDescription & { sha256: string | null }>;
}

export interface StoreOptions extends Pick<Partial<Patience>, 'waitsMs' | 'read'> {
  /** Of remote stores. */
  readonly patience?: HttpPatience;
  /** Told when a file is waited for. */
  warn?: ((message: string) => void) | undefined;
}

export function isRemote(store: Store): store is RemoteStore {
  return 'fetch' in store;
}

export function isWritable(store: Store): store is WritableStore {
  return 'put' in store;
}

/** Of a URL, in lower case, such as "s3"; undefined for a folder. */
export function schemeOf(place: string): string | undefined {
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(place)?.[1]?.toLowerCase();
}

/** Whether a place is a URL, not a folder. */
export function isUrl(place: string): boolean {
  return schemeOf(place) !== undefined;
}
