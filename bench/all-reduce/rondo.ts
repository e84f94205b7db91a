import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { certificateSchema, certify } from '../support/credentials.js';
import { insideOf, type Network } from '../support/network.js';
import { openWorkerProcess } from '../support/worker-process.js';
import { type Implementation, mergeRanks, rankFiguresSchema, taskSchema } from './implementation.js';

/**
 * How ranks reach what the others have: where it lies (`vectors`, as workers do), in a ring through `slots` that
 * neighbours share, as where there is no room for vectors, or in a ring as between machines: over `sockets` or
 * `grpc`, with a token or, encrypted, with certificates. The first two are over sockets between machines, where
 * `vectors` is encrypted too.
 */
export const ways = [
  ...(['vectors', 'vectors-tls', 'slots'] as const),
  ...(['sockets', 'sockets-tls', 'grpc', 'grpc-tls'] as const),
] as const;
export type Way = (typeof ways)[number];

const names: Readonly<Record<Way, string>> = {
  vectors: 'rondo',
  'vectors-tls': 'rondo, TLS',
  slots: 'rondo, ring through memory',
  sockets: 'rondo, ring over sockets',
  'sockets-tls': 'rondo, ring over sockets, TLS',
  grpc: 'rondo, ring over gRPC',
  'grpc-tls': 'rondo, ring over gRPC, TLS',
};

/** Whether all ranks of this way are as if on machines of their own. */
export const isApart = (way: Way): boolean => !sharesVectors(way) && way !== 'slots';
export const sharesVectors = (way: Way): boolean => way.startsWith('vectors');

/** What a rank is opened with, as JSON in its first argument. */
export const placeSchema = z.object({
  way: z.enum(ways),
  lanes: z.int().positive(),
  /** Where it listens. */
  host: z.string(),
  certificate: certificateSchema,
  /** Null to share none. */
  sharedMemory: z.string().nullable(),
});

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
 * Rondo's all-reduce: one Node process per rank, on loopback or each in a namespace of `network`, with a local
 * worker's environment.
 */
export async function openRondo(
  worldSize: number,
  way: Way,
  lanes: number,
  /** By rank. */
  network: Pick<Network, 'hosts'> | null,
  /** By rank: a folder of each machine's. */
  sharedMemory: readonly string[],
): Promise<Implementation> {
  const script = fileURLToPath(new URL('rank.js', import.meta.url));
  const certificates = way.endsWith('-tls') ? await certify(worldSize) : null;
  const ranks = Array.from({ length: worldSize }, (_, index) => {
    const place: z.infer<typeof placeSchema> = {
      ...{ way, lanes },
      host: network === null ? '127.0.0.1' : network.hosts[index]!.address,
      certificate: certificates?.[index] ?? null,
      sharedMemory: isApart(way) ? null : sharedMemory[index]!,
    };
    const within = insideOf(network, index);
    return openWorkerProcess(script, place, { index, threads: 1, gpus: [] }, { within });
  });
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
