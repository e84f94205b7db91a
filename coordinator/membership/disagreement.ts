import { RondoError } from '../../runtime/errors.js';
import type { WorkerPlace } from './cluster-events.js';

type Named = Pick<WorkerPlace, 'workerId' | 'rank'>;

const differRemedy =
  'resume from the last checkpoint; should the same worker differ again, look at its device and its memory';

/**
 * Who differs from whom, in words, or null when all values are equal. `values` are in rank order. A majority
 * is taken to be right; without one everybody is listed.
 */
export function describeDisagreement(places: readonly Named[], values: readonly string[]): string | null {
  const holders = new Map<string, Named[]>();
  for (const [rank, value] of values.entries()) {
    const place = places[rank]!;
    holders.set(value, [...(holders.get(value) ?? []), place]);
  }
  if (holders.size <= 1) return null;
  const groups = [...holders].sort(([, a], [, b]) => b.length - a.length);
  const [most, second] = [groups[0]!, groups[1]!];
  if (most[1].length > second[1].length) {
    const others = groups.slice(1).map(([value, who]) => `${nameAll(who)} reported ${value}`);
    return `${others.join('; ')}; the majority, ${nameAll(most[1])}, reported ${most[0]}`;
  }
  return groups.map(([value, who]) => `${nameAll(who)} reported ${value}`).join('; ');
}

/** A worker as errors call it. */
export function nameWorker(place: Named): string {
  return `${place.workerId} (rank ${place.rank})`;
}

function nameAll(places: readonly Named[]): string {
  return places.map(nameWorker).join(', ');
}

/** Refuses to go on unless every rank said the same. */
export function requireAgreement(places: readonly Named[], values: readonly string[], what: string): void {
  const difference = describeDisagreement(places, values);
  if (difference !== null) {
    throw new RondoError('data-loss', `${what}: ${difference}`, { remedy: differRemedy });
  }
}

/** A message that breaks the protocol. */
export function violation(
  { places }: { readonly places: readonly Named[] },
  rank: number,
  what: string,
): RondoError {
  return new RondoError('internal', `${nameWorker(places[rank]!)} reported ${what}`);
}
