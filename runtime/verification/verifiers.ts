import { usableCores } from '../cores.js';
import { RondoError } from '../errors.js';
import { createDecodePool } from '../images.js';
import { poolThreadsPerCore, threadPoolSize } from '../limiter.js';
import { log } from '../log.js';
import type { ReadFile } from '../read-file.js';
import { type CalledThread, startProcess } from '../thread-calls.js';
import { type Unverified, type Verdict, verifyImage } from './verify-image.js';

/** What a process does that verifies images. */
export interface VerifierOperations {
  /** Answers once it can. */
  begin(): void;
  verify(image: Unverified): Promise<Verdict>;
}

/** Who verifies images on this machine. */
export interface Verifiers {
  /** So many images at a time keep all cores busy. */
  readonly width: number;
  /** What a look at a whole image says of it. Rejects only once they are closed, or when the signal comes. */
  verify(image: Unverified): Promise<Verdict>;
  /** Has them start before there is something to do. */
  begin(): void;
  /** Does not wait for what is in hand. Safe to call twice. */
  close(): Promise<void>;
}

/** This process does it: at once, but one image that makes the decoder crash ends it. */
export function verifyHere(o: { readonly read?: ReadFile; readonly signal?: AbortSignal } = {}): Verifiers {
  const pool = createDecodePool();
  return {
    width: threadPoolSize(),
    verify: (image) => verifyImage(image, pool, o),
    begin() {},
    async close() {},
  };
}

/** Of one process: its main thread, which hashes what they decode, keeps up with so many. */
const mostThreads = 16;

interface Process extends Pick<CalledThread<VerifierOperations>, 'calls' | 'destroy'> {
  readonly begun: Promise<void>;
  /** It could be started. */
  hasBegun: boolean;
  /** Images that it was given. */
  inHand: number;
}

/**
 * As many processes as this machine's cores need; each is started when there is something for it to do. An image that
 * ends one of them, also when it has that one to itself, cannot be used, and ends nothing else. Where none can be
 * started, this process does it.
 *
 * @param o.program the compiled program; found beside this one unless given.
 */
export function openVerifiers({
  program = new URL('./verifier-process.js', import.meta.url),
  threads = Number(process.env.UV_THREADPOOL_SIZE) || poolThreadsPerCore * usableCores(),
}: {
  readonly program?: URL;
  /** Of all processes together. */
  readonly threads?: number;
} = {}): Verifiers {
  const count = Math.ceil(threads / mostThreads);
  const env = { ...process.env, UV_THREADPOOL_SIZE: String(Math.ceil(threads / count)) };
  const places: (Process | null)[] = Array.from({ length: count }, () => null);
  const started: Process[] = [];
  let closed: RondoError | null = null;
  const here = verifyHere();
  /** What a process had in hand that crashed is given to this one, image by image. */
  let careful: Process | null = null;
  let lastCareful: Promise<unknown> = Promise.resolve();

  const start = (): Process => {
    const { calls, destroy } = startProcess<VerifierOperations>(program, {
      what: 'the process that decodes it',
      operations: { begin: true, verify: true },
      env,
    });
    const begun = calls.begin();
    const process: Process = { calls, destroy, begun, hasBegun: false, inHand: 0 };
    begun.then(
      () => {
        process.hasBegun = true;
      },
      (error: unknown) => log('warn', 'cannot verify in a process', { reason: String(error) }),
    );
    started.push(process);
    return process;
  };
  /** Returns what ended the process, if it has. */
  const ask = async (process: Process, image: Unverified): Promise<Verdict | RondoError> => {
    process.inHand += 1;
    try {
      await process.begun;
      return await process.calls.verify(image);
    } catch (thrown) {
      if (closed !== null) throw closed;
      return RondoError.from(thrown);
    } finally {
      process.inHand -= 1;
    }
  };
  const verifyCarefully = async (image: Unverified): Promise<Verdict> => {
    if (closed !== null) throw closed;
    careful ??= start();
    const verdict = await ask(careful, image);
    if (!(verdict instanceof RondoError)) return verdict;
    careful = null;
    // Memory may have been short, or somebody ended it: the next time it may be otherwise.
    return { finding: { usable: false, reason: `cannot be decoded: ${verdict.message}` }, lasting: false };
  };

  const processAt = (place: number): Process => {
    const process = places[place] ?? start();
    places[place] = process;
    return process;
  };

  return {
    width: threads + count,
    begin() {
      for (const place of places.keys()) processAt(place);
    },
    async verify(image) {
      if (closed !== null) throw closed;
      const place = leastBusy(places);
      const process = processAt(place);
      const verdict = await ask(process, image);
      if (!(verdict instanceof RondoError)) return verdict;
      if (!process.hasBegun) return here.verify(image);
      if (places[place] === process) places[place] = null;
      const next = lastCareful.then(() => verifyCarefully(image));
      lastCareful = next.catch(() => {});
      return next;
    },
    async close() {
      closed ??= new RondoError('cancelled', 'what verifies images was closed');
      await Promise.all(started.map((process) => process.destroy()));
    },
  };
}

function leastBusy(places: readonly (Process | null)[]): number {
  const busy = places.map((process) => process?.inHand ?? 0);
  return busy.reduce((least, inHand, place) => (inHand < busy[least]! ? place : least), 0);
}
