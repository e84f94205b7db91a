import type { FloatType, Trainable } from '../../plan/run-config.js';
import type { LineProcess } from '../support/line-process.js';
import { type Span, throughputOf } from './throughput.js';

/** What every process of a contestant is opened with, as JSON in its first argument. */
export interface Setting {
  readonly arch: 'resnet18' | 'resnet34';
  /** Side of the network's input, in pixels. */
  readonly size: number;
  readonly batch: number;
  readonly classes: number;
  readonly threads: number;
  /** Of the network's layers; weights and statistics stay float32. */
  readonly precision: FloatType;
  readonly device: 'cpu' | 'gpu';
  /** `pixels`: Rondo augments and normalises in its graph; `normalized`: it is fed as its peer is. */
  readonly input: 'pixels' | 'normalized';
}

/** Training all parameters, or those of the frozen stage; or probabilities in evaluation mode. */
export type Work = Trainable | 'predict';

/** What one process is asked: so many steps, one after the other. A step of `predict` is one forward pass. */
export interface Task {
  readonly steps: number;
  readonly work: Work;
}

/** What one process answers. */
export interface Answer {
  /** Of each step, on the machine's monotonic clock. */
  readonly spans: readonly Span[];
  /** Processor time of the process over all steps. */
  readonly cpuSeconds: number;
  /** Of the last step, or the first probability, as a sign of life. */
  readonly loss: number;
}

export interface Figure {
  /** Of all processes together, over the time in which all of them compute. */
  readonly imagesPerSecond: number;
  readonly cpuSecondsPerImage: number;
}

/** One implementation's processes, ready and idle between measurements. */
export interface Contestant {
  readonly name: string;
  measure(task: Task): Promise<Figure>;
  close(): Promise<void>;
}

export function createContestant(
  name: string,
  processes: readonly LineProcess[],
  { batch }: Pick<Setting, 'batch'>,
): Contestant {
  return {
    name,
    async measure(task) {
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
