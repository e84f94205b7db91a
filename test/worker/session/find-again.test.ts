import { expect, it } from 'vitest';
import { RondoError } from '../../../runtime/errors.js';
import { findAgain } from '../../../worker/session/find-again.js';

const gone = new RondoError('unavailable', 'nobody answers');
const waits = { heartbeatMs: 10, reconnectMs: 7, signal: new AbortController().signal };

/** Answers at the n-th attempt; counts them. */
function coordinator(answersAt: number, error = gone) {
  const attempts: number[] = [];
  const open = async (timeoutMs: number) => {
    attempts.push(timeoutMs);
    if (attempts.length < answersAt) throw error;
    return 'a session';
  };
  return { attempts, open };
}

it('looks for a coordinator until it answers', async () => {
  const { attempts, open } = coordinator(4);
  expect(await findAgain(open, { ...waits, absenceMs: 60_000, isTraining: () => false })).toBe('a session');
  expect(attempts).toEqual([7, 7, 7, 7]);
});

it('gives up when it was away for longer than it may be and nothing is left to train', async () => {
  const { attempts, open } = coordinator(Number.POSITIVE_INFINITY);
  const startMs = performance.now();
  await expect(findAgain(open, { ...waits, absenceMs: 30, isTraining: () => false })).rejects.toBe(gone);
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(30);
  expect(attempts.length).toBeGreaterThan(1);
});

it('goes on for longer than that to the end of the epoch', async () => {
  const { attempts, open } = coordinator(Number.POSITIVE_INFINITY);
  const isTraining = () => attempts.length < 12;
  await expect(findAgain(open, { ...waits, absenceMs: 0, isTraining })).rejects.toBe(gone);
  expect(attempts).toHaveLength(12);
});

it('does not go on against a refusal, nor when the worker is told to end', async () => {
  const refusal = new RondoError('unauthenticated', 'another run');
  const refusing = coordinator(Number.POSITIVE_INFINITY, refusal);
  const patience = { ...waits, absenceMs: 60_000, isTraining: () => true };
  await expect(findAgain(refusing.open, patience)).rejects.toBe(refusal);
  expect(refusing.attempts).toHaveLength(1);
  const reason = new RondoError('cancelled', 'told to end');
  const signal = AbortSignal.abort(reason);
  await expect(findAgain(coordinator(9).open, { ...patience, signal })).rejects.toBe(reason);
});
