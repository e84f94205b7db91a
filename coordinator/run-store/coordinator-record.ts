import { readFileSync, rmSync } from 'node:fs';
import { z } from 'zod';
import { runFormatVersion } from '../../proto/run-files.js';
import { writeDurablyAtOnce } from '../../runtime/durable-file.js';
import { parseJson } from '../../runtime/parse-json.js';

const count = z.int().nonnegative();
const division = z.array(z.array(count).readonly()).readonly();

/**
 * coordinator.json: what a coordinator has decided and started, for the one that takes its place when it dies. Only
 * while the run goes on, and only its user can read it.
 */
const coordinatorRecordSchema = z.object({
  /** HOST:PORT that workers join; empty before it listens. */
  address: z.string(),
  /** The run's, which workers prove themselves with. */
  token: z.string(),
  /** The server that was started for the run's metrics. */
  nats: z.object({ port: count, token: z.string(), pid: count, guardPid: count }).nullable(),
  /** How many there are to be on its machine. */
  localWorkers: count,
  /** Those that were started there, and may have ended since. */
  workers: z.array(z.object({ workerId: z.string(), pid: count })).readonly(),
  /** The number of the newest generation. */
  newest: count,
  /** The last generation that began; null before the first. */
  begun: z
    .object({
      number: count,
      startStep: count,
      epochEndDue: z.boolean(),
      /** Of its first step, by rank, where it was begun before. */
      startDivision: division.nullable().default(null),
      /** By rank. Absent in runs of earlier versions. */
      partitions: division.nullable().default(null),
      startDigest: z.string(),
      /** In rank order. */
      places: z
        .array(
          z.object({ workerId: z.string(), rank: count, address: z.string(), pid: count, host: z.string() }),
        )
        .readonly(),
    })
    .nullable(),
});

/** What a coordinator has decided and started, for the one that takes its place when it dies. */
export type CoordinatorRecord = Readonly<z.infer<typeof coordinatorRecordSchema>>;

/** The record while the run goes on. Only this user can read the file: it holds the run's secrets. */
export interface CoordinatorRecordFile {
  readonly value: CoordinatorRecord;
  /** On the disk when this returns. Throws a RondoError that names the file. */
  change(parts: Partial<CoordinatorRecord>): void;
  /** The run has ended: nobody is to take its place. Never throws. */
  remove(): void;
}

export function openCoordinatorRecord(path: string, first: CoordinatorRecord): CoordinatorRecordFile {
  let value = first;
  let isRemoved = false;
  return {
    get value() {
      return value;
    },
    change(parts) {
      if (isRemoved) return;
      value = { ...value, ...parts };
      writeDurablyAtOnce(path, `${JSON.stringify({ formatVersion: runFormatVersion, ...value })}\n`);
    },
    remove() {
      isRemoved = true;
      try {
        rmSync(path, { force: true });
      } catch {}
    },
  };
}

/** Null where the coordinator's end was in order, and where the record cannot be read: the run goes on without. */
export function readCoordinatorRecord(path: string): CoordinatorRecord | null {
  try {
    const text = readFileSync(path, 'utf8');
    return parseJson(coordinatorRecordSchema, text, { name: path, formatVersion: runFormatVersion });
  } catch {
    return null;
  }
}
