import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { largest, smallest } from '../../runtime/extremes.js';
import { openWorkerProcess } from '../support/worker-process.js';
import {
  type Implementation,
  type Pass,
  type Pictures,
  type Place,
  type Speeds,
  spanSchema,
} from './task.js';

const names: Readonly<Record<Pass['from'], string>> = {
  files: 'first epoch (decode, cache)',
  memory: 'later epochs, from memory',
  // The system holds the cache's file in memory.
  disk: 'later epochs, from disk',
};

/**
 * Workers' loaders, each in a process of its own with a worker's environment, that share an epoch and a
 * cache.
 */
export function openRondo(pictures: Pictures): Implementation {
  const { processes, threads } = pictures.workers;
  const script = fileURLToPath(new URL('rondo-process.js', import.meta.url));
  const workers = Array.from({ length: processes }, (_, rank) => {
    const place: Place = { ...pictures, rank };
    return openWorkerProcess(script, place, { index: rank, threads, gpus: [] });
  });
  const time = async (pass: Pass): Promise<number> => {
    const spans = await Promise.all(workers.map((worker) => worker.ask(spanSchema, pass)));
    const from = smallest(spans.map(([start]) => start));
    const to = largest(spans.map(([, end]) => end));
    return pictures.files.length / (to - from);
  };
  return {
    async measure() {
      const cacheDir = await mkdtemp(path.join(tmpdir(), 'rondo-bench-loader-'));
      try {
        const speeds: Record<string, number> = {};
        for (const from of ['files', 'memory', 'disk'] as const) {
          speeds[names[from]] = await time({ from, cacheDir });
        }
        return speeds satisfies Speeds;
      } finally {
        await rm(cacheDir, { recursive: true, force: true });
      }
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
    },
  };
}
