import { Graph } from '../tensorflow/graph.js';
import { openSession } from '../tensorflow/session.js';
import type { ImageBatch } from './batch.js';
import { buildPixelInput, deviation, mean } from './input.js';

/** The first part of every program: what the network is given. */
export interface InputProgram {
  /** [n, size, size, 3]: augmented, lit and normalised, as training sees them. */
  images(batch: Omit<ImageBatch, 'labels'>): Float32Array;
  /** Frees the session. May be called twice. */
  close(): void;
}

/** Opens the input alone, without a network. Every call blocks the thread. */
export function openInputProgram({ presize, size }: { presize: number; size: number }): InputProgram {
  const graph = new Graph();
  const images = buildPixelInput(graph, presize, size);
  const session = openSession(graph);
  return {
    images: ({ pixels, transforms, lighting }) =>
      session.run({ pixels, transforms, lighting }, { images }).images,
    close: () => session.close(),
  };
}

/** Normalised values as 8-bit pixels again, for people. */
export function denormalize(values: Float32Array): Uint8ClampedArray {
  return Uint8ClampedArray.from(values, (value, index) => {
    const channel = index % 3;
    return 255 * (value * deviation[channel]! + mean[channel]!);
  });
}
