import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import { createDeferred, type Deferred } from '../../runtime/deferred.js';
import { RondoError } from '../../runtime/errors.js';
import { type CallEnd, openExchangeCall } from './exchange-call.js';
import type { FramedChunk } from './wire-format.js';

/** The half of a link that pulls from the predecessor: the client side of one generation's exchange. */
export interface Inlet {
  /** Resolves when the predecessor has taken the pull; rejects when it refuses, is gone, or the inlet closes. */
  readonly accepted: Promise<void>;
  receive(): Promise<FramedChunk>;
  /** Waiting and later receives are rejected with `error`. May be called twice. */
  close(error: RondoError): void;
}

/** What a predecessor answers when it refuses; any other status means that it is gone. */
const refusals: readonly number[] = [
  status.ABORTED,
  status.FAILED_PRECONDITION,
  status.DEADLINE_EXCEEDED,
  status.INVALID_ARGUMENT,
];

export function openInlet(o: {
  generation: bigint;
  rank: number;
  predecessor: number;
  address: string;
}): Inlet {
  const accepted = createDeferred<void>();
  accepted.promise.catch(() => {});
  const arrived: FramedChunk[] = [];
  let waiting: Deferred<FramedChunk> | null = null;
  let ended: RondoError | null = null;

  const end = (error: RondoError) => {
    if (ended !== null) return;
    ended = error;
    accepted.reject(error);
    waiting?.reject(error);
    waiting = null;
    call.close();
  };
  const name = `rank ${o.predecessor} at ${o.address}`;

  const call = openExchangeCall({
    address: o.address,
    request: { generation: o.generation, rank: o.rank },
    onAccepted: accepted.resolve,
    onChunk(chunk) {
      if (waiting === null) {
        arrived.push(chunk);
        return;
      }
      call.taken(chunk);
      waiting.resolve(chunk);
      waiting = null;
    },
    onEnd: (outcome) => end(explain(outcome, name, o.generation)),
  });

  return {
    accepted: accepted.promise,
    receive() {
      assert(waiting === null, 'one receive at a time');
      const chunk = arrived.shift();
      if (chunk !== undefined) {
        call.taken(chunk);
        return Promise.resolve(chunk);
      }
      if (ended !== null) return Promise.reject(ended);
      waiting = createDeferred<FramedChunk>();
      return waiting.promise;
    },
    close(error) {
      arrived.length = 0;
      end(error);
    },
  };
}

function explain(outcome: CallEnd, name: string, generation: bigint): RondoError {
  if (outcome.code === status.OK) {
    return new RondoError('unavailable', `${name} ended its exchange of generation ${generation}`);
  }
  const cause = Object.assign(new Error(outcome.details), outcome);
  if (refusals.includes(outcome.code)) {
    const text = `${name} refused the exchange of generation ${generation}: ${outcome.details}`;
    return new RondoError(RondoError.from(cause).code, text, { cause });
  }
  const text = `${name} is gone in generation ${generation}: ${outcome.details}`;
  return new RondoError('unavailable', text, { cause });
}
