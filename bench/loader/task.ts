/** What every contestant's process is opened with, as JSON in its first argument. */
export interface Pictures {
  readonly files: readonly string[];
  /** Side that images are squeezed to, in pixels. */
  readonly presize: number;
  readonly microBatch: number;
  /** Of Rondo's worker, and processes of the peer. */
  readonly threads: number;
}

/** What a process answers for a round, in images per second: by the name of what was measured, in order. */
export type Speeds = Readonly<Record<string, number>>;
