import type { Metadata } from '@grpc/grpc-js';
import { RondoError } from '../errors.js';

/** Filled by the server before a call reaches its handler. */
const callers = new WeakMap<Metadata, string>();

export function noteCaller(metadata: Metadata, name: string): void {
  callers.set(metadata, name);
}

/**
 * Who makes a call: the name in the certificate of its connection; null where calls prove only that they come
 * from a member of the run.
 */
export function callerOf(call: { readonly metadata: Metadata }): string | null {
  return callers.get(call.metadata) ?? null;
}

/** @throws RondoError permission-denied when the call is made by another member than `name`. */
export function requireCaller(call: { readonly metadata: Metadata }, name: string, what: string): void {
  requireName(callerOf(call), name, what);
}

/** The same for `caller`, as `callerOf` gives it. */
export function requireName(caller: string | null, name: string, what: string): void {
  if (caller === null || caller === name) return;
  throw new RondoError('permission-denied', `the certificate of this connection is not that of ${what}`);
}
