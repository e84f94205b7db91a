import { type PlainError, RondoError } from '../../runtime/errors.js';
import type { Job } from './job.js';

/** A line of a job's standard output. */
export type JobLine =
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | { readonly kind: 'item'; readonly value: object }
  /** With the result's own fields beside it. */
  | { readonly kind: 'result' }
  | ({ readonly kind: 'error' } & PlainError);

export interface JobStreams {
  readonly input: AsyncIterable<Uint8Array | string>;
  readonly output: { write(text: string, written: (error?: Error | null) => void): unknown };
}

/** Progress is for people: a line more often than this tells them nothing. */
const progressEveryMs = 100;

/**
 * Reads one JSON request, does the job, and writes what it tells as JSON lines, at last its result or its
 * error. Rejects with that error, after it has been written.
 */
export async function serveJob(
  find: () => Promise<Job>,
  { input, output }: JobStreams,
  signal: AbortSignal,
): Promise<void> {
  const write = (line: JobLine) =>
    new Promise<void>((resolve) => output.write(`${JSON.stringify(line)}\n`, () => resolve()));
  let lastProgressMs = Number.NEGATIVE_INFINITY;
  try {
    const job = await find();
    const value = await job((await readRequest(input)) as never, {
      signal,
      item: (item) => void write({ kind: 'item', value: item }),
      progress(done, total) {
        const now = performance.now();
        if (done < total && now - lastProgressMs < progressEveryMs) return;
        lastProgressMs = now;
        void write({ kind: 'progress', done, total });
      },
    });
    await write({ ...value, kind: 'result' });
  } catch (thrown) {
    const error = RondoError.from(signal.aborted ? signal.reason : thrown);
    await write({ kind: 'error', ...error.toPlain() });
    throw error;
  }
}

async function readRequest(input: AsyncIterable<Uint8Array | string>): Promise<unknown> {
  const parts: Uint8Array[] = [];
  for await (const part of input) parts.push(Buffer.from(part as Uint8Array));
  const text = Buffer.concat(parts).toString('utf8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RondoError(
      'invalid-argument',
      `the request on standard input is not JSON: ${text.slice(0, 80)}`,
      {
        remedy: "jobs are started by the coordinator's commands",
        cause,
      },
    );
  }
}
