import type { ServiceError } from '@grpc/grpc-js';

/** gRPC's names, so that an error keeps its meaning across a call. */
export type ErrorCode =
  | 'invalid-argument' // the user's input is wrong
  | 'not-found' // a file, folder, run or worker that was named does not exist
  | 'failed-precondition' // something that must be there first is not: the runtime, a free port
  | 'unauthenticated' // the run's token is missing or wrong
  | 'permission-denied' // the operating system, or Rondo, does not allow it
  | 'resource-exhausted' // disk or memory is full
  | 'data-loss' // bytes are not what was written
  | 'aborted' // the generation ended under the operation
  | 'unavailable' // the other side is gone
  | 'deadline-exceeded' // the other side is silent
  | 'cancelled' // a person or the program asked to stop
  | 'internal'; // a broken invariant

/**
 * gRPC's numbers for these codes. Written out, for its library takes a tenth of a second to load, and threads and
 * processes that make no calls need nothing else of it. Source: grpc/grpc, doc/statuscodes.md.
 */
export const grpcStatuses: Readonly<Record<ErrorCode, number>> = {
  'invalid-argument': 3,
  'not-found': 5,
  'failed-precondition': 9,
  unauthenticated: 16,
  'permission-denied': 7,
  'resource-exhausted': 8,
  'data-loss': 15,
  aborted: 10,
  unavailable: 14,
  'deadline-exceeded': 4,
  cancelled: 1,
  internal: 13,
};

const exitCodes: Partial<Record<ErrorCode, number>> = {
  'invalid-argument': 2,
  'not-found': 2,
  'failed-precondition': 3,
  unauthenticated: 4,
  'permission-denied': 3,
  cancelled: 130,
};

/** What the programs' exit codes mean: --help, README and docs/operating.md say the same. */
export const exitCodeTexts: Readonly<Record<number, string>> = {
  0: 'done',
  1: 'anything else; `verify-run`: something differs',
  2: 'wrong input, or nothing of that name',
  3: 'something is missing, in the way or not allowed',
  4: 'a credential is refused: a token, or a certificate',
  130: 'stopped; a worker: told to end before the run was over',
  143: 'ended at once by a second SIGTERM; `start --supervised`: left to the next coordinator by one',
};

/** The sentence of --help. */
export const exitCodesHelp = `Exit codes: ${Object.entries(exitCodeTexts)
  .map(([code, text]) => `${code} ${text}`)
  .join(', ')}.`;

const systemCodes: Record<string, ErrorCode> = {
  ENOENT: 'not-found',
  ENOTDIR: 'not-found',
  EISDIR: 'invalid-argument',
  EROFS: 'permission-denied',
  EACCES: 'permission-denied',
  EPERM: 'permission-denied',
  ENOSPC: 'resource-exhausted',
  EDQUOT: 'resource-exhausted',
  EADDRINUSE: 'failed-precondition',
};

/** Trailing metadata of a failed call; `-bin` because a remedy is not always ASCII. */
export const remedyKey = 'rondo-remedy-bin';

/** A RondoError between threads and processes: what `toPlain` gives and `fromPlain` reads. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy?: string;
}

/**
 * The only error class that Rondo throws on purpose. `message` names the cause; `remedy` says what the reader
 * can do about it. A broken invariant is not one of these: it asserts.
 */
export class RondoError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'RondoError';
    this.code = code;
    this.remedy = options.remedy;
  }

  /**
   * Whatever was thrown, as a RondoError: system and gRPC errors keep their meaning, the rest is `internal`.
   */
  static from(thrown: unknown): RondoError {
    if (thrown instanceof RondoError) return thrown;
    if (!(thrown instanceof Error)) return new RondoError('internal', String(thrown));
    if (isGrpcError(thrown)) {
      const found = Object.entries(grpcStatuses).find(([, value]) => value === thrown.code);
      const code = (found?.[0] ?? 'internal') as ErrorCode;
      const remedy = thrown.metadata?.get(remedyKey)[0]?.toString();
      return new RondoError(code, thrown.details || thrown.message, { remedy, cause: thrown });
    }
    const system = (thrown as NodeJS.ErrnoException).code;
    const code = (system === undefined ? undefined : systemCodes[system]) ?? 'internal';
    return new RondoError(code, thrown.message, { cause: thrown });
  }

  /**
   * What another thread or process said by `toPlain`; a code that this version does not know is `internal`.
   */
  static fromPlain(plain: object): RondoError {
    const { code, message, remedy }: Partial<Record<keyof PlainError, unknown>> = plain;
    const known = typeof code === 'string' && Object.hasOwn(grpcStatuses, code);
    return new RondoError(
      known ? (code as ErrorCode) : 'internal',
      typeof message === 'string' ? message : 'an error without a message',
      { remedy: typeof remedy === 'string' && remedy !== '' ? remedy : undefined },
    );
  }

  /** The error without class, stack and cause: what crosses to another thread or process. */
  toPlain(): PlainError {
    const { code, message, remedy } = this;
    return { code, message, ...(remedy === undefined ? {} : { remedy }) };
  }

  /**
   * The exit code of a program that ends with this error: 2 wrong input, 3 missing precondition, 4
   * refused credential, 130 cancelled, else 1.
   */
  get exitCode(): number {
    return exitCodes[this.code] ?? 1;
  }
}

function isGrpcError(error: Error): error is ServiceError {
  return (
    typeof (error as ServiceError).code === 'number' && typeof (error as ServiceError).details === 'string'
  );
}
