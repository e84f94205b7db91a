/** Answers that have arrived, by what they answer and by rank. A call leaves the map when the last rank answered. */
export type RollCalls<T> = ReadonlyMap<number, readonly (T | null)[]>;

/** The calls after `rank` answered `call`, and all answers in rank order when this was the last one. */
export function answerRollCall<T>(
  calls: RollCalls<T>,
  call: number,
  rank: number,
  answer: T,
  worldSize: number,
): { calls: RollCalls<T>; complete: readonly T[] | null; repeated: boolean } {
  const before = calls.get(call) ?? new Array<T | null>(worldSize).fill(null);
  if (before[rank] !== null) return { calls, complete: null, repeated: true };
  const after = before.with(rank, answer);
  const present = after.filter((entry) => entry !== null);
  const next = new Map(calls);
  if (present.length === worldSize) next.delete(call);
  else next.set(call, after);
  return { calls: next, complete: present.length === worldSize ? present : null, repeated: false };
}
