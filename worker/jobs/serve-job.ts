import type { JobContract, JobLine } from '../../proto/jobs.js';
import { RondoError } from '../../runtime/errors.js';
import { parseJson } from '../../runtime/parse-json.js';

/** What a job is given beside its request. */
export interface JobContext<Item = never> {
  /** How far it is, for the person who waits. */
  progress(done: number, total: number): void;
  item(value: Item): void;
  /** Aborts when the result is no longer wanted. */
  readonly signal: AbortSignal;
}

/** Throws RondoError for what the user can cause. */
export type Job<Request, Item, Result> = (request: Request, context: JobContext<Item>) => Promise<Result>;

/** A job whose request has not been read yet. */
export type UnreadJob = (request: string, context: JobContext<unknown>) => Promise<unknown>;

export interface JobStreams {
  readonly input: AsyncIterable<Uint8Array | string>;
  readonly output: { write(text: string, written: (error?: Error | null) => void): unknown };
}

/** Progress is for people: a line more often than this tells them nothing. */
const progressEveryMs = 100;

const ofRequest = {
  name: 'the request on standard input',
  code: 'invalid-argument',
  remedy: "jobs are started by the coordinator's commands",
} as const;

/** A job behind its contract, loaded when it is asked for. */
export function readingJob<Request, Item, Result>(
  contract: JobContract<Request, Item, Result>,
  load: () => Promise<Job<Request, Item, Result>>,
): UnreadJob {
  return async (text, context) => {
    const request = parseJson(contract.request, text, ofRequest);
    return (await load())(request, context);
  };
}

/**
 * Reads one request, does the job, and writes what it tells, at last its result or its error. Rejects with
 * that error, after it has been written.
 */
export async function serveJob(
  find: () => UnreadJob,
  { input, output }: JobStreams,
  signal: AbortSignal,
): Promise<void> {
  const write = (line: JobLine) =>
    new Promise<void>((resolve) => output.write(`${JSON.stringify(line)}\n`, () => resolve()));
  let lastProgressMs = Number.NEGATIVE_INFINITY;
  try {
    const job = find();
    const value = await job(await readAll(input), {
      signal,
      item: (item) => void write({ kind: 'item', value: item }),
      progress(done, total) {
        const now = performance.now();
        if (done < total && now - lastProgressMs < progressEveryMs) return;
        lastProgressMs = now;
        void write({ kind: 'progress', done, total });
      },
    });
    await write({ kind: 'result', value });
  } catch (thrown) {
    const error = RondoError.from(signal.aborted ? signal.reason : thrown);
    await write({ kind: 'error', ...error.toPlain() });
    throw error;
  }
}

async function readAll(input: JobStreams['input']): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of input) parts.push(typeof part === 'string' ? Buffer.from(part) : part);
  return Buffer.concat(parts).toString('utf8');
}
