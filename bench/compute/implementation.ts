import { z } from 'zod';
import type { LineProcess } from '../support/line-process.js';
import { spanSchema, throughputOf } from './throughput.js';

/**
 * Of the network's layers; weights and statistics stay float32. On a GPU, `tf32` lets tensor cores round
 * float32's factors to 10 bits, as TensorFlow and cuDNN do by themselves, and `float32` forbids it; a CPU
 * computes the same in both.
 */
export const precisions = ['float32', 'tf32', 'bfloat16'] as const;
export type Precision = (typeof precisions)[number];

/** What a process' environment must say for it; both NVIDIA's libraries and PyTorch heed it. */
export function precisionEnvironment({
  precision,
  device,
}: Pick<Setting, 'precision' | 'device'>): NodeJS.ProcessEnv {
  return precision === 'float32' && device === 'gpu' ? { NVIDIA_TF32_OVERRIDE: '0' } : {};
}

const count = z.int().positive();

export const settingSchema = z.object({
  arch: z.enum(['resnet18', 'resnet34']),
  /** Side of the network's input, in pixels. */
  size: count,
  batch: count,
  classes: count,
  threads: count,
  precision: z.enum(precisions),
  device: z.enum(['cpu', 'gpu']),
  /** `pixels`: Rondo augments and normalises in its graph; `normalized`: it is fed as its peer is. */
  input: z.enum(['pixels', 'normalized']),
});

/** What every process of an implementation is opened with, as JSON in its first argument. */
export type Setting = Readonly<z.infer<typeof settingSchema>>;

const workSchema = z.enum(['all', 'frozen', 'predict']);

/** Training all parameters, or those of the frozen phase; or probabilities in evaluation mode. */
export type Work = z.infer<typeof workSchema>;

export const taskSchema = z.object({
  steps: count,
  work: workSchema,
  /** Samples of each step; those of the setting unless given. */
  batch: count.optional(),
});

/** What one process is asked: so many steps, one after the other. A step of `predict` is one forward pass. */
export type Task = Readonly<z.infer<typeof taskSchema>>;

const answerSchema = z.object({
  /** Of each step, on the machine's monotonic clock. */
  spans: z.array(spanSchema),
  /** Processor time of the process over all steps. */
  cpuSeconds: z.number(),
  /** Of the last step, or the first probability, to show that something was computed: null is not finite. */
  loss: z.number().nullable(),
});

/** What one process answers. */
export type Answer = z.input<typeof answerSchema>;

export interface Figure {
  /** Of all processes together, over the time in which all of them compute. */
  readonly imagesPerSecond: number;
  readonly cpuSecondsPerImage: number;
}

/** One implementation's processes, ready and idle between measurements. */
export interface Implementation {
  readonly name: string;
  measure(task: Task): Promise<Figure>;
  close(): Promise<void>;
}

export function createImplementation(
  name: string,
  processes: readonly LineProcess[],
  setting: Pick<Setting, 'batch'>,
): Implementation {
  return {
    name,
    async measure(task) {
      const { batch = setting.batch } = task;
      const answers = await Promise.all(processes.map((process) => process.ask(answerSchema, task)));
      // JSON has no NaN and no infinity: it says null.
      if (answers.some(({ loss }) => loss === null))
        throw new Error(`${name} computed a loss that is not finite`);
      const cpuSeconds = answers.reduce((sum, answer) => sum + answer.cpuSeconds, 0);
      return {
        imagesPerSecond: batch * throughputOf(answers.map(({ spans }) => spans)),
        cpuSecondsPerImage: cpuSeconds / (processes.length * task.steps * batch),
      };
    },
    async close() {
      await Promise.all(processes.map((process) => process.close()));
    },
  };
}
