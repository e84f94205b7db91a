import type { Trainable } from '../../plan/run-config.js';
import type { LineProcess } from '../support/line-process.js';
import { type Span, throughputOf } from './throughput.js';

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

/** What every process of a implementation is opened with, as JSON in its first argument. */
export interface Setting {
  readonly arch: 'resnet18' | 'resnet34';
  /** Side of the network's input, in pixels. */
  readonly size: number;
  readonly batch: number;
  readonly classes: number;
  readonly threads: number;
  readonly precision: Precision;
  readonly device: 'cpu' | 'gpu';
  /** `pixels`: Rondo augments and normalises in its graph; `normalized`: it is fed as its peer is. */
  readonly input: 'pixels' | 'normalized';
}

/** Training all parameters, or those of the frozen phase; or probabilities in evaluation mode. */
export type Work = Trainable | 'predict';

/** What one process is asked: so many steps, one after the other. A step of `predict` is one forward pass. */
export interface Task {
  readonly steps: number;
  readonly work: Work;
  /** Samples of each step; those of the setting unless given. */
  readonly batch?: number;
}

/** What one process answers. */
export interface Answer {
  /** Of each step, on the machine's monotonic clock. */
  readonly spans: readonly Span[];
  /** Processor time of the process over all steps. */
  readonly cpuSeconds: number;
  /** Of the last step, or the first probability, to show that something was computed. */
  readonly loss: number;
}

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
      const answers = await Promise.all(processes.map((process) => process.ask<Answer>(task)));
      const lost = answers.find(({ loss }) => !Number.isFinite(loss));
      if (lost !== undefined) throw new Error(`${name} computed a loss of ${lost.loss}`);
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
