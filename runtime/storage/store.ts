import type { Patience } from '../read-file.js';

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

export interface StoreOptions extends Pick<Partial<Patience>, 'waitsMs' | 'read'> {
  /** Told when a file is waited for. */
  warn?(message: string): void;
}

/** Of a URL, in lower case, such as "s3"; undefined for a folder. */
export function schemeOf(place: string): string | undefined {
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(place)?.[1]?.toLowerCase();
}

/** Whether a place is a URL, not a folder. */
export function isUrl(place: string): boolean {
  return schemeOf(place) !== undefined;
}
