import { status as grpcStatus, type ServiceError } from '@grpc/grpc-js';

/** gRPC's names, so that an error keeps its meaning across a call. */
export type ErrorCode =
  | 'invalid-argument' // the user's input is wrong
  | 'not-found' // a file, folder, run or worker that was named does not exist
  | 'failed-precondition' // something that must be there first is not: the runtime, a free port
  | 'permission-denied' // credentials missing or refused
  | 'resource-exhausted' // disk or memory is full
  | 'data-loss' // bytes are not what was written
  | 'aborted' // the generation ended under the operation
  | 'unavailable' // the other side is gone
  | 'deadline-exceeded' // the other side is silent
  | 'cancelled' // a person or the program asked to stop
  | 'internal'; // a broken invariant

const grpcStatuses: Record<ErrorCode, number> = {
  'invalid-argument': grpcStatus.INVALID_ARGUMENT,
  'not-found': grpcStatus.NOT_FOUND,
  'failed-precondition': grpcStatus.FAILED_PRECONDITION,
  'permission-denied': grpcStatus.PERMISSION_DENIED,
  'resource-exhausted': grpcStatus.RESOURCE_EXHAUSTED,
  'data-loss': grpcStatus.DATA_LOSS,
  aborted: grpcStatus.ABORTED,
  unavailable: grpcStatus.UNAVAILABLE,
  'deadline-exceeded': grpcStatus.DEADLINE_EXCEEDED,
  cancelled: grpcStatus.CANCELLED,
  internal: grpcStatus.INTERNAL,
};

const exitCodes: Partial<Record<ErrorCode, number>> = {
  'invalid-argument': 2,
  'not-found': 2,
  'failed-precondition': 3,
  'permission-denied': 3,
  cancelled: 130,
};

const systemCodes: Record<string, ErrorCode> = {
  ENOENT: 'not-found',
  EACCES: 'permission-denied',
  EPERM: 'permission-denied',
  ENOSPC: 'resource-exhausted',
  EDQUOT: 'resource-exhausted',
  EADDRINUSE: 'failed-precondition',
};

/**
 * The only error class that Rondo throws on purpose. `message` names the cause; `remedy` says what the reader can
 * do about it. A broken invariant is not one of these: it asserts.
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

  /** Whatever was thrown, as a RondoError: system and gRPC errors keep their meaning, the rest is `internal`. */
  static from(thrown: unknown): RondoError {
    if (thrown instanceof RondoError) return thrown;
    if (!(thrown instanceof Error)) return new RondoError('internal', String(thrown));
    if (isGrpcError(thrown)) {
      const found = Object.entries(grpcStatuses).find(([, value]) => value === thrown.code);
      const code = (found?.[0] ?? 'internal') as ErrorCode;
      return new RondoError(code, thrown.details || thrown.message, { cause: thrown });
    }
    const system = (thrown as NodeJS.ErrnoException).code;
    const code = (system === undefined ? undefined : systemCodes[system]) ?? 'internal';
    return new RondoError(code, thrown.message, { cause: thrown });
  }

  /** What a gRPC handler answers with. */
  toGrpc(): Partial<ServiceError> {
    return { code: grpcStatuses[this.code], details: this.message, message: this.message, name: this.name };
  }

  /** The exit code of a program that ends with this error: 2 wrong input, 3 missing precondition, 130 cancelled, else 1. */
  get exitCode(): number {
    return exitCodes[this.code] ?? 1;
  }
}

function isGrpcError(error: Error): error is ServiceError {
  return (
    typeof (error as ServiceError).code === 'number' && typeof (error as ServiceError).details === 'string'
  );
}
