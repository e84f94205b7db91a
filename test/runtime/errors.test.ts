import { Metadata, status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, grpcStatuses, RondoError } from '../../runtime/errors.js';
import { toGrpc } from '../../runtime/grpc/answer-error.js';

// A Record, so that a new code cannot be forgotten here.
const exitCodes: Record<ErrorCode, number> = {
  'invalid-argument': 2,
  'not-found': 2,
  'failed-precondition': 3,
  unauthenticated: 4,
  'permission-denied': 3,
  'resource-exhausted': 1,
  'data-loss': 1,
  aborted: 1,
  unavailable: 1,
  'deadline-exceeded': 1,
  cancelled: 130,
  internal: 1,
};
const codes = Object.keys(exitCodes) as ErrorCode[];

const parts = ({ code, message, remedy }: RondoError) => ({ code, message, remedy });

describe.each(codes)('an error of code %s', (code) => {
  const error = new RondoError(code, 'wörker “3” fiel aus', {
    remedy: 'zurück – mit `--resume ü`\nnoch einmal',
  });

  it('keeps code, message and remedy as a plain object, through JSON and a structured clone', () => {
    expect(parts(RondoError.fromPlain(JSON.parse(JSON.stringify(error.toPlain()))))).toEqual(parts(error));
    expect(parts(RondoError.fromPlain(structuredClone(error.toPlain())))).toEqual(parts(error));
    const bare = new RondoError(code, 'bare');
    expect(parts(RondoError.fromPlain(JSON.parse(JSON.stringify(bare.toPlain()))))).toEqual(parts(bare));
  });

  it('keeps them over gRPC', () => {
    expect(parts(RondoError.from(Object.assign(new Error('x'), toGrpc(error))))).toEqual(parts(error));
    expect(status[grpcStatuses[code]]).toBe(code.toUpperCase().replaceAll('-', '_'));
  });

  it('ends a program with its exit code', () => {
    expect(error.exitCode).toBe(exitCodes[code]);
  });
});

describe('what is read as an error', () => {
  it.each([
    [{}, 'internal', 'an error without a message'],
    [{ code: 'toString', message: 'm' }, 'internal', 'm'],
    [{ code: 'of-tomorrow', message: 'm' }, 'internal', 'm'],
    [{ code: 7, message: 8 }, 'internal', 'an error without a message'],
  ])('%j', (plain, code, message) => {
    expect(parts(RondoError.fromPlain(plain))).toEqual({ code, message, remedy: undefined });
  });

  it('has no remedy where protobuf says the empty string', () => {
    expect(RondoError.fromPlain({ code: 'aborted', message: 'm', remedy: '' }).remedy).toBeUndefined();
  });

  it('takes a status of gRPC without a code of ours, and one without metadata', () => {
    const strange = Object.assign(new Error('x'), { code: status.OUT_OF_RANGE, details: 'd' });
    expect(parts(RondoError.from(strange))).toEqual({ code: 'internal', message: 'd', remedy: undefined });
    const plain = { code: status.ABORTED, details: 'd', metadata: new Metadata() };
    expect(RondoError.from(Object.assign(new Error('x'), plain)).code).toBe('aborted');
  });
});

it('fits a status of gRPC whatever its length, and with half of a surrogate pair', () => {
  const long = new RondoError('internal', `\ud800${'ü'.repeat(100_000)}`, { remedy: 'é'.repeat(100_000) });
  const { details, metadata } = toGrpc(long);
  expect(encodeURI(details).length).toBeLessThan(32_768);
  expect(metadata.get('rondo-remedy-bin')[0]!.length).toBeLessThan(16_384);
});
