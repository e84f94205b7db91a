import { writeFile } from 'node:fs/promises';
import type { RunConfig } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/gen/coordinator.js';
import { installation } from '../../runtime/installation.js';
import { cannotUseTemporary } from '../../runtime/temporary-folder.js';
import { openLoader } from '../data/loader.js';
import { denormalize, openInputProgram } from '../model/input-program.js';
import type { JobContext } from './job.js';

export interface ShowBatchRequest {
  readonly config: Pick<RunConfig, 'seed' | 'size' | 'presize' | 'microBatch' | 'augment'>;
  readonly dataset: Dataset;
  /** Training samples. */
  readonly ids: readonly number[];
  readonly epoch: number;
  /** Receives the images as bytes [n, size, size, 3]. */
  readonly output: string;
}

/** Writes training images as the network is given them, by the loader and the graph that training uses. */
export async function showBatch(
  { config, dataset, ids, epoch, output }: ShowBatchRequest,
  { signal }: JobContext,
): Promise<object> {
  const { cacheDir } = installation();
  const loader = openLoader({ dataset, config, cacheBytes: 0, cacheDir, diskCacheBytes: 0 });
  const program = openInputProgram(config);
  try {
    const request = { split: 'train' as const, ids: Uint32Array.from(ids), epoch };
    for await (const batch of loader.load([request], { depth: 1, signal })) {
      await writeFile(output, denormalize(program.images(batch))).catch((error: unknown) => {
        throw cannotUseTemporary(error);
      });
      batch.release();
    }
    return {};
  } finally {
    program.close();
    await loader.close();
  }
}
