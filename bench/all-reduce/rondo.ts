import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { openWorkerProcess } from '../support/worker-process.js';
import { type Implementation, mergeRanks, rankFiguresSchema, taskSchema } from './implementation.js';

const ways = ['vectors', 'slots', 'grpc'] as const;

/**
 * How ranks reach what the others have: where it lies (`vectors`, as local workers do), in a ring through
 * `slots` that neighbours share, as where some ranks are elsewhere, or in a ring over `grpc` alone, as
 * between machines.
 */
export type Way = (typeof ways)[number];

const names: Readonly<Record<Way, string>> = {
  vectors: 'rondo',
  slots: 'rondo, ring through memory',
  grpc: 'rondo, ring over gRPC',
};

/** What a rank is opened with, as JSON in its first argument. */
export const placeSchema = z.object({ way: z.enum(ways), lanes: z.int().positive() });

const measurementSchema = z.object({
  kind: z.literal('measure'),
  rank: z.int().nonnegative(),
  /** By rank. */
  addresses: z.array(z.string()),
  task: taskSchema,
});
export type Measurement = z.infer<typeof measurementSchema>;

/** What a rank is asked: first of all to listen, then to measure. */
export const questionSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('listen') }),
  measurementSchema,
]);

const addressSchema = z.object({ address: z.string() });

/**
 * Rondo's all-reduce: one Node process per rank, connected over gRPC on loopback, with a local worker's
 * environment.
 */
export async function openRondo(worldSize: number, way: Way, lanes: number): Promise<Implementation> {
  const script = fileURLToPath(new URL('rank.js', import.meta.url));
  const place: z.infer<typeof placeSchema> = { way, lanes };
  const ranks = Array.from({ length: worldSize }, (_, index) =>
    openWorkerProcess(script, place, { index, threads: 1, gpus: [] }),
  );
  const listen = { kind: 'listen' };
  const listening = await Promise.all(ranks.map((rank) => rank.ask(addressSchema, listen)));
  const addresses = listening.map(({ address }) => address);
  return {
    name: names[way],
    async measure(task) {
      const figures = await Promise.all(
        ranks.map((process, rank) => {
          const question: Measurement = { kind: 'measure', rank, addresses, task };
          return process.ask(rankFiguresSchema, question);
        }),
      );
      return mergeRanks(figures, task.rounds);
    },
    async close() {
      await Promise.all(ranks.map((rank) => rank.close()));
    },
  };
}
