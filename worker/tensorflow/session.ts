import assert from 'node:assert/strict';
import { type Binding, dtypes, loadBinding, type TensorId } from './binding.js';
import type { ArrayDType, ArrayTypes } from './dtype.js';
import type { Graph, Tensor } from './graph.js';
import { withSavedModel } from './saved-model.js';
import { elementCount, formatShape, type Shape } from './shape.js';

export type FeedArray = Float32Array | Int32Array | Uint8Array;

/** Values of placeholders, by name. */
export type Feeds = Readonly<Record<string, FeedArray>>;

type Fetchable = Tensor<Exclude<ArrayDType, 'uint8'>>;

/** What a run answers: an array for each tensor that was asked for. */
export type Fetched<F extends Readonly<Record<string, Fetchable>>> = {
  [K in keyof F]: ArrayTypes[F[K]['dtype']];
};

/** A loaded graph. Its variables keep their values between runs. Runs block the thread. */
export interface Session {
  /**
   * Runs what `fetches` need. An array whose memory is 64-byte aligned is fed without a copy.
   *
   * @throws Error with TensorFlow's message when a run fails; AssertionError for feeds that do not fit the
   *   graph.
   */
  run<F extends Readonly<Record<string, Fetchable>>>(feeds: Feeds, fetches: F): Fetched<F>;
  /**
   * Runs what `fetch` needs and gives `use` a way to read it, in case that it is needed at all.
   */
  runOne<D extends Fetchable['dtype'], T>(
    feeds: Feeds,
    fetch: Tensor<D>,
    use: (read: () => ArrayTypes[D]) => T,
  ): T;
  /** Tensors that the binding holds for this process. */
  handles(): number;
  /** Frees the session and its variables. May be called twice. */
  close(): void;
}

/** Loads a graph; it must not grow afterwards. */
export function openSession(graph: Graph): Session {
  const binding = loadBinding();
  const model = withSavedModel(graph, (directory) => binding.loadSavedModel(directory, 'serve'));
  let open = true;

  function withRun<T>(feeds: Feeds, fetches: readonly Tensor[], use: (ids: readonly TensorId[]) => T): T {
    assert(open, 'the session is closed');
    const held: TensorId[] = [];
    try {
      const names: string[] = [];
      for (const [name, values] of Object.entries(feeds)) {
        held.push(feed(binding, graph, name, values));
        names.push(`${graph.given.get(name)!.placeholder}:0`);
      }
      const wanted = fetches.map(({ node, index }) => `${node.name}:${index}`);
      const results = binding.runSavedModel(model, [...held], names.join(), wanted.join());
      const ids = results.map(({ id }) => id);
      for (const id of ids) held.push(id);
      return use(ids);
    } finally {
      for (const id of held) binding.deleteTensor(id);
    }
  }

  return {
    run<F extends Readonly<Record<string, Fetchable>>>(feeds: Feeds, fetches: F) {
      const names = Object.keys(fetches);
      const tensors = names.map((name) => fetches[name]!);
      const arrays = withRun(feeds, tensors, (ids) => ids.map((id) => binding.tensorDataSync(id)));
      return Object.fromEntries(names.map((name, index) => [name, arrays[index]])) as Fetched<F>;
    },
    runOne<D extends Fetchable['dtype'], T>(
      feeds: Feeds,
      fetch: Tensor<D>,
      use: (read: () => ArrayTypes[D]) => T,
    ) {
      return withRun(feeds, [fetch], ([id]) => use(() => binding.tensorDataSync(id!) as ArrayTypes[D]));
    },
    handles: () => binding.getNumOfTensors(),
    close() {
      if (open) binding.deleteSavedModel(model);
      open = false;
    },
  };
}

const arrays = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };

function feed(binding: Binding, graph: Graph, name: string, values: FeedArray): TensorId {
  const given = graph.given.get(name);
  assert(given !== undefined, `the graph has no placeholder ${name}`);
  const expected = arrays[given.dtype];
  assert(values instanceof expected, `${name} wants ${given.dtype} values in a ${expected.name}`);
  const shape = fill(name, given.shape, values.length);
  if (given.fed !== 'int32') return binding.createTensor(shape, dtypes[given.fed], values);
  const { buffer, byteOffset, byteLength } = values.byteOffset % 4 === 0 ? values : values.slice();
  const words = new Int32Array(buffer, byteOffset, byteLength / 4);
  const wordShape = given.dtype === 'uint8' ? [shape[0]!, elementCount(shape.slice(1))! / 4] : shape;
  return binding.createTensor(wordShape, dtypes.int32, words);
}

/** The shape with its unknown size worked out from the number of elements. */
function fill(name: string, shape: Shape, count: number): number[] {
  const known = shape.reduce<number>((product, size) => product * (size ?? 1), 1);
  const sizes = shape.map((size) => size ?? count / known);
  const fits = sizes.every(Number.isInteger) && sizes.reduce((product, size) => product * size, 1) === count;
  assert(fits, `${name}: ${count} values do not fill ${formatShape(shape)}`);
  return sizes;
}
