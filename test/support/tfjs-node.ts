import { createRequire } from 'node:module';
import util from 'node:util';

/** What of @tensorflow/tfjs-node's own interface the tests call. */
interface TfjsNode {
  tensor4d(values: Int32Array, shape: readonly number[], dtype: 'int32'): unknown;
  tensor1d(values: readonly Uint8Array[], dtype: 'string'): unknown;
  readonly node: {
    loadSavedModel(directory: string, tags: readonly string[], signature: string): Promise<TfjsModel>;
  };
}

interface TfjsModel {
  predict(inputs: Record<string, unknown>): Record<'probabilities' | 'classes', TfjsTensor>;
}

interface TfjsTensor {
  data(): Promise<Float32Array & readonly string[]>;
}

/** The package as any program loads it, with its JavaScript. */
export function loadTfjsNode(): TfjsNode {
  // Gone from Node 23; the package still calls it.
  const old = util as { isNullOrUndefined?: (value: unknown) => boolean };
  old.isNullOrUndefined ??= (value) => value === null || value === undefined;
  return createRequire(import.meta.url)('@tensorflow/tfjs-node-gpu') as TfjsNode;
}
