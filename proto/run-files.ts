import { z } from 'zod';
import { archs, runConfigSchema } from '../plan/run-config.js';

/**
 * The format of a run's folder. run.json, summary.json and checkpoint.json carry it, and what run.json says
 * holds for the lines of the other files too. Raised when an earlier Rondo could not read what is written.
 */
export const runFormatVersion = 2;

const count = z.int().nonnegative();
/** JSON has no NaN: what was not finite is null. */
const measure = z.number().nullable();
const strings = z.array(z.string()).readonly();

/** What the table of epochs shows, in fastai's columns. */
export const epochRecordSchema = z.object({
  /** Counted from 0. */
  epoch: count,
  /** Smoothed over the steps of its phase. */
  train_loss: measure,
  /** The mean of the training criterion, mixup aside. */
  valid_loss: measure,
  error_rate: measure,
  /** 1 − the mean recall over the classes. Like the next two absent in runs of earlier versions. */
  balanced_error: measure.default(null),
  /** The mean F1 over the classes. */
  macro_f1: measure.default(null),
  /** Share of the images whose label is not among the five likeliest classes. */
  top5_error: measure.default(null),
  /** Training and validation. */
  seconds: z.number(),
  /** Of training. */
  imagesPerSecond: z.number(),
});

const stepLine = z.object({
  kind: z.literal('step'),
  step: count,
  epoch: count,
  generation: count,
  worldSize: count,
  /** Mean over the global batch. */
  loss: measure,
  correct: count,
  samples: count,
  skipped: z.boolean(),
  /** Wall time of the slowest rank. */
  seconds: z.number(),
  /** How often the step was begun: more than once when workers were lost while it was under way. */
  attempt: count.default(1),
  /** The sample ids that each rank computed, in order. */
  shares: z.array(z.array(count)),
});

const epochLine = z.object({
  kind: z.literal('epoch'),
  /** Steps taken up to its end, over the whole run. */
  step: count,
  ...epochRecordSchema.shape,
  parameterDigest: z.string(),
});

/** A worker that takes part in a generation, and what it computes with. */
const workerLine = z.object({
  kind: z.literal('worker'),
  generation: count,
  worker: z.string(),
  rank: count,
  host: z.string(),
  kernels: z.object({
    /** Version of the library. */
    tensorflow: z.string(),
    gpu: z.boolean(),
    /** oneDNN's kernels, not Eigen's; null where TensorFlow does not tell. */
    oneDnn: z.boolean().nullable(),
    processor: z.string(),
    /** The best that oneDNN may use, in its words, such as AVX2. */
    instructionSet: z.string(),
    threads: count,
  }),
});

/**
 * From here on, lines of step >= toStep that stand above count no longer: the run went on from an earlier
 * state.
 */
const rollbackLine = z.object({ kind: z.literal('rollback'), toStep: count });

/**
 * The phase of `epoch` ended early, with that epoch: the run goes on with step `toStep`, the next phase's
 * first.
 */
const earlyStopLine = z.object({ kind: z.literal('early-stop'), epoch: count, toStep: count });

/** A line of ledger.jsonl. */
export const ledgerLineSchema = z.discriminatedUnion('kind', [
  stepLine,
  epochLine,
  rollbackLine,
  workerLine,
  earlyStopLine,
]);

/** checkpoint.json. Free of rank and world size. */
export const checkpointRecordSchema = z.object({
  /** Steps taken: the run goes on with this one. */
  step: count,
  epoch: count,
  /** False for a state inside the epoch. */
  whole: z.boolean(),
  stateDigest: z.string(),
  parameterDigest: z.string(),
  /** SHA-256 and length of state.safetensors. */
  fileDigest: z.string(),
  fileBytes: z.int().positive(),
  /** SHA-256 of run.json's config. */
  runConfigDigest: z.string(),
  /** In the flat state: `offset` counts float32 values. */
  tensors: z.array(z.object({ name: z.string(), shape: z.array(count), offset: count })),
});

/** What was noticed about the data. */
export const dataRemarkSchema = z.object({
  level: z.enum(['note', 'warning']),
  /** For programs. */
  about: z.enum([
    'unread-images',
    'other-files',
    'empty-folders',
    'links',
    'unlabelled-images',
    'missing-images',
    'unused-columns',
    'nested-classes',
    'class-names',
    'similar-classes',
    'single-image-classes',
    'validation-set',
    'test-set',
    'classes-without-training',
    'classes-without-validation',
    'images-in-both-sets',
  ]),
  text: z.string(),
  /** Of the files, folders or classes that it is about; `names` are the first of them. */
  count,
  names: strings,
});

/** Where a new run's weights come from. */
const sourceRecord = z.object({
  runId: z.string(),
  /** Absolute path of the checkpoint's folder. */
  checkpoint: z.string(),
  step: count,
  parameterDigest: z.string(),
  /** A head is taken over only by a run with the same classes. */
  head: z.enum(['taken over', 'fresh']),
});

/** run.json: what was asked for, and what it was resolved to. */
export const runRecordSchema = z.object({
  runId: z.string(),
  createdAt: z.string(),
  command: strings,
  versions: z.object({ rondo: z.string(), node: z.string(), platform: z.string() }),
  workers: z.int().positive(),
  /** By name, as the coordinator's table of options reads them. */
  training: z.record(z.string(), z.unknown()),
  /** Null unless the run takes its weights from another one. */
  source: sourceRecord.nullable(),
  datasetDigest: z.string(),
  /** Absolute path of the images' folder; absent in runs of earlier versions. */
  dataRoot: z.string().optional(),
  /** Of the images to validate on, where they have a folder of their own. */
  validRoot: z.string().optional(),
  /** What indexing said of the data; absent in runs of earlier versions. */
  data: z
    .object({
      /** Where the validation set comes from. */
      validation: z.string().nullable(),
      remarks: z.array(dataRemarkSchema).readonly(),
    })
    .optional(),
  config: runConfigSchema,
});

/** summary.json: how a run ended. Written for completed, stopped and failed runs alike. */
export const summarySchema = z.object({
  status: z.enum(['completed', 'stopped', 'failed']),
  runId: z.string(),
  directory: z.string(),
  arch: z.enum(archs),
  classes: strings,
  counts: z.object({ train: count, valid: count, quarantined: count }),
  worldSize: count,
  /** Taken, of how many the plan has. */
  steps: count,
  totalSteps: count,
  /** Of those taken: how many changed nothing, because the loss or a gradient was not finite. */
  skippedSteps: count,
  epochs: z.array(epochRecordSchema).readonly(),
  /** A phase ended before its last epoch, because the validation loss had not fallen for long enough. */
  earlyStopped: z.boolean(),
  /** By the measure of --keep-best, else by the error rate; null when none could be measured. */
  bestEpoch: count.nullable(),
  /** The checkpoint that `checkpoints/best` is another name of; null when none is marked. */
  bestCheckpoint: z.string().nullable(),
  /** Of the last state that all workers agreed on; null before the first. */
  parameterDigest: z.string().nullable(),
  quarantined: z.array(z.object({ path: z.string(), reason: z.string() })).readonly(),
  /** Times that training went on after workers were lost, left or joined, or was resumed. */
  recoveries: count,
  /** What the run's workers computed with, each once, in words. */
  kernels: strings,
  /** By the workers since the run was last started or resumed; zeros when they did not report them. */
  metrics: z.object({ published: count, dropped: count }),
  /** Since the run was last started or resumed. */
  wallSeconds: z.number(),
  error: z.object({ code: z.string(), message: z.string(), remedy: z.string().nullable() }).nullable(),
  /** The command that goes on with the run; null when it is completed. */
  resume: z.string().nullable(),
  /** The page of a completed run's report; null when there is none. */
  report: z.string().nullable(),
});
