/**
 * Answers by the number of what they answer (a step, an epoch) and by rank; null for a rank that has not
 * answered. An entry is removed when the last rank answers.
 */
export type AnswersByRank<T> = ReadonlyMap<number, readonly (T | null)[]>;

/**
 * The answers after `rank` answered number `of`, and all of that number's, in rank order, when this was the
 * last one.
 */
export function addAnswer<T>(
  answers: AnswersByRank<T>,
  of: number,
  rank: number,
  answer: T,
  worldSize: number,
): { answers: AnswersByRank<T>; complete: readonly T[] | null; repeated: boolean } {
  const before = answers.get(of) ?? new Array<T | null>(worldSize).fill(null);
  if (before[rank] !== null) return { answers, complete: null, repeated: true };
  const after = before.with(rank, answer);
  const present = after.filter((entry) => entry !== null);
  const next = new Map(answers);
  if (present.length === worldSize) next.delete(of);
  else next.set(of, after);
  return { answers: next, complete: present.length === worldSize ? present : null, repeated: false };
}
