import { blendAnswers, testTimeViews } from '../../plan/test-time.js';
import type { PredictItem, PredictRequest, PredictResult } from '../../proto/jobs.js';
import { RondoError } from '../../runtime/errors.js';
import { briefWaitsMs } from '../../runtime/read-file.js';
import { openSampleReader } from '../../runtime/storage/sample-reader.js';
import { startComputeThread } from '../compute/threaded-compute.js';
import { type ImageToRead, loadFileBatches, localFile } from '../data/file-batches.js';
import { programOptions } from '../model/program-options.js';
import { readNetworkState } from './checkpoint-tensors.js';
import type { JobContext } from './serve-job.js';

/** Batches in preparation, ready, or in the network. */
const depth = 3;

/** Classifies files as validation does, batch by batch, while the next ones are decoded. */
export async function predict(
  { config, state, files, packs, batch, top, tta }: PredictRequest,
  { progress, item, signal }: JobContext<PredictItem>,
): Promise<PredictResult> {
  const compute = startComputeThread();
  const readers = packs.map(({ root, shards }) => openSampleReader(root, shards, { waitsMs: briefWaitsMs }));
  const images = files.map((file): ImageToRead => {
    if (typeof file === 'string') return localFile(file);
    const { range, pack } = file;
    return { size: async () => range.bytes, read: (stop) => readers[pack]!.read(file, stop) };
  });
  try {
    const { state: layout } = await compute.open(programOptions(config, []));
    await compute.load(await readNetworkState(state, layout));
    const { size, presize } = config;
    let done = 0;
    progress(done, files.length);
    const started = performance.now();
    const views = tta ? testTimeViews(config.augment, config.seed) : [null];
    for await (const loaded of loadFileBatches(images, { size, presize, views, batch, depth, signal })) {
      const { pixels, ids, unreadable } = loaded;
      const indices = Array.from(ids);
      const answers: Float32Array[] = [];
      for (const view of indices.length === 0 ? [] : loaded.views) {
        answers.push(await compute.predict({ pixels, ...view }));
      }
      loaded.release();
      const rows = answers.length > 1 ? blendAnswers(answers) : (answers[0] ?? []);
      if (!rows.every(Number.isFinite)) throw notFinite();
      const classes = config.classes.length;
      const predicted = indices.map((index, row): PredictItem => {
        const probabilities = rows.slice(row * classes, (row + 1) * classes);
        return { index, top: pickTop(probabilities, top) };
      });
      const told = [...predicted, ...unreadable];
      for (const each of told.sort((a, b) => a.index - b.index)) item(each);
      done += told.length;
      progress(done, files.length);
    }
    return { seconds: (performance.now() - started) / 1000 };
  } finally {
    await compute.destroy();
    await Promise.all(readers.map((reader) => reader.close()));
  }
}

/** Weights that are finite may still be so large that what they compute is not. */
function notFinite(): RondoError {
  return new RondoError('failed-precondition', 'the network gives probabilities that are not finite', {
    remedy:
      'its training had diverged: take an earlier checkpoint (--checkpoint NAME), or train with a lower --lr',
  });
}

function pickTop(probabilities: ArrayLike<number>, count: number) {
  const all = Array.from(probabilities, (probability, label) => ({ label, probability }));
  return all.sort((a, b) => b.probability - a.probability || a.label - b.label).slice(0, count);
}
