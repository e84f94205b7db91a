import { z } from 'zod';
import { archs, headKinds, runConfigSchema } from '../plan/run-config.js';
import type { Sample } from '../runtime/storage/sample-columns.js';

// Work on a trained network outside of a run, which the coordinator has a worker process do: `worker job NAME`
// reads one request, as JSON, from standard input and writes JSON lines to standard output. Large results go to
// files that the request names.

/** What is asked, told meanwhile, and answered. */
export interface JobContract<Request, Item, Result> {
  readonly name: string;
  readonly request: z.ZodType<Request>;
  /** One of many results, told as soon as it is known. */
  readonly item: z.ZodType<Item>;
  readonly result: z.ZodType<Result>;
}

/** A line of a job's standard output; the last one is its result or its error. */
export const jobLineSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('progress'), done: z.number(), total: z.number() }),
  z.object({ kind: z.literal('item'), value: z.unknown() }),
  z.object({ kind: z.literal('result'), value: z.unknown() }),
  z.object({
    kind: z.literal('error'),
    code: z.string(),
    message: z.string(),
    remedy: z.string().optional(),
  }),
]);
export type JobLine = z.infer<typeof jobLineSchema>;

const count = z.int().nonnegative();
const strings = z.array(z.string()).readonly();
const nothing = z.object({});

/** Reads a weights file as workers will, and fails as they would. */
export const checkWeightsJob = {
  name: 'check-weights',
  request: z.object({
    /** Of the weights file. */
    path: z.string(),
    arch: z.enum(archs),
    head: z.enum(headKinds),
  }),
  item: z.never(),
  /** What a run that begins with the file would take from it. */
  result: z.object({
    tensors: count,
    /** Where in the file they lie, such as "state_dict.module."; empty for torchvision's own names. */
    place: z.string(),
    /** Other places that hold as much of the network. */
    copies: strings,
    /** How many classes the file's head has; null without a head that the run would take. */
    headClasses: count.nullable(),
  }),
};
export type CheckWeightsRequest = Readonly<z.infer<typeof checkWeightsJob.request>>;
export type CheckedWeights = Readonly<z.infer<typeof checkWeightsJob.result>>;

export const exportFormats = ['saved-model', 'safetensors'] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** Writes the network that evaluation uses, without what training needs beside it. */
export const exportJob = {
  name: 'export',
  request: z.object({
    config: runConfigSchema,
    /** A checkpoint's state.safetensors. */
    state: z.string(),
    format: z.enum(exportFormats),
    /** An empty folder that receives saved_model.pb or model.safetensors. */
    directory: z.string(),
  }),
  item: z.never(),
  result: z.object({ parameters: count }),
};
export type ExportRequest = Readonly<z.infer<typeof exportJob.request>>;
export type ExportResult = Readonly<z.infer<typeof exportJob.result>>;

const shard = z.object({ name: z.string(), digest: z.string() });
const shardRange = z.object({ shard: count, block: count, bytes: count });

/** Classifies images as validation does. */
export const predictJob = {
  name: 'predict',
  request: z.object({
    config: runConfigSchema,
    /** A checkpoint's state.safetensors. */
    state: z.string(),
    /** Paths of images, and images of `packs`. */
    files: z
      .array(
        z.union([
          z.string(),
          z.object({ pack: count, path: z.string(), digest: z.string(), range: shardRange }),
        ]),
      )
      .readonly(),
    /** Where packed images are: a folder or a URL, and the shards there. */
    packs: z.array(z.object({ root: z.string(), shards: z.array(shard).readonly() })).readonly(),
    /** Images of one forward pass. */
    batch: z.int().positive(),
    /** How many classes to name for each image. */
    top: z.int().positive(),
    /** With test-time augmentation. */
    tta: z.boolean(),
  }),
  /** Of each file, by its position in the request, in order within a batch. */
  item: z.union([
    z.object({
      index: count,
      /** Labels and their probabilities, the likeliest first. */
      top: z.array(z.object({ label: count, probability: z.number() })).readonly(),
    }),
    z.object({ index: count, reason: z.string() }),
  ]),
  /** What the network took. */
  result: z.object({ seconds: z.number() }),
};
export type PredictRequest = Readonly<z.infer<typeof predictJob.request>>;
export type PredictItem = Readonly<z.infer<typeof predictJob.item>>;
export type PredictResult = Readonly<z.infer<typeof predictJob.result>>;

const sample: z.ZodType<Sample> = z.object({
  ...{ path: z.string(), label: count, width: count, height: count, digest: z.string() },
  range: shardRange.optional(),
});

/** Writes training images as the network is given them. */
export const showBatchJob = {
  name: 'show-batch',
  request: z.object({
    config: runConfigSchema
      .unwrap()
      .pick({ seed: true, size: true, presize: true, microBatch: true, augment: true }),
    /** Where the images are: a folder or a URL, and the shards there. */
    root: z.string(),
    shards: z.array(shard).readonly(),
    /** What is shown of the training set; of an image its augmentation depends on the id. */
    samples: z.array(z.object({ id: count, sample })).readonly(),
    epoch: count,
    /** Receives the images as bytes [n, size, size, 3]. */
    output: z.string(),
  }),
  item: z.never(),
  result: nothing,
};
export type ShowBatchRequest = Readonly<z.infer<typeof showBatchJob.request>>;
export type ShowBatchResult = Readonly<z.infer<typeof showBatchJob.result>>;
