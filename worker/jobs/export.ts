import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { RunConfig } from '../../plan/run-config.js';
import type { ExportRequest, ExportResult } from '../../proto/jobs.js';
import { layOutState } from '../model/layout.js';
import { describeNetwork, volume } from '../model/parameters.js';
import { programOptions } from '../model/program-options.js';
import { encodeServingModel, type NetworkTensor } from '../model/serving/serving-graph.js';
import { throughAveraged } from '../model/weights/averages.js';
import { writeSafetensors } from '../model/weights/safetensors.js';
import { readTensors } from './checkpoint-tensors.js';
import type { JobContext } from './serve-job.js';

/** Writes the network that evaluation uses, without what training needs beside it. */
export async function exportNetwork(
  { config, state, format, directory }: ExportRequest,
  { signal, progress }: JobContext,
): Promise<ExportResult> {
  const tensors = await readEvaluated(config, state, progress);
  signal.throwIfAborted();
  const { classes } = config;
  const parameters = tensors
    .filter(({ name }) => !/\.running_(mean|var)$/.test(name))
    .reduce((sum, { shape }) => sum + volume(shape), 0);
  if (format === 'safetensors') {
    const metadata = { format: 'pt', arch: config.arch, head: config.head, classes: JSON.stringify(classes) };
    const file = createWriteStream(path.join(directory, 'model.safetensors'));
    await pipeline(Readable.from(writeSafetensors(tensors, metadata)), file, { signal });
  } else {
    const options = programOptions(config, []);
    const bytes = encodeServingModel({ ...options, classes, tensors });
    await writeFile(path.join(directory, 'saved_model.pb'), bytes, { signal });
  }
  return { parameters };
}

/**
 * Parameters and running statistics, or their moving averages where the run keeps them, in PyTorch's names
 * and layouts.
 */
async function readEvaluated(
  config: RunConfig,
  state: string,
  progress: JobContext['progress'],
): Promise<NetworkTensor[]> {
  const network = describeNetwork(config.arch, config.classes.length, config.head);
  const layout = layOutState(network, { averaged: config.emaDecay !== null });
  const held = [...layout.parameters, ...layout.statistics, ...layout.average].map(({ name, shape }) => ({
    name,
    shape,
    values: new Float32Array(volume(shape)),
  }));
  let begun = 0;
  await readTensors(state, held, ({ values }) => {
    progress(begun, held.length);
    begun += 1;
    return values;
  });
  const evaluated = throughAveraged(new Map(held.map((tensor) => [tensor.name, tensor])));
  return [...evaluated].map(([name, { shape, values }]) => ({ name, shape, values }));
}
