import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { dtypes, loadBinding } from '../../../worker/tensorflow/binding.js';
import { Graph } from '../../../worker/tensorflow/graph.js';
import { add, divide, floor, maximum, multiply } from '../../../worker/tensorflow/ops/arithmetic.js';
import { mapRows } from '../../../worker/tensorflow/ops/map-rows.js';
import { argument, constant, constantStrings } from '../../../worker/tensorflow/ops/sources.js';
import { encodeSavedModel } from '../../../worker/tensorflow/saved-model.js';
import { loadTfjsNode } from '../../support/tfjs-node.js';
import { temporaryFolder } from '../../support/tiny-run.js';

describe('mapRows', () => {
  test('does to each row what its function says', () => {
    const graph = new Graph();
    const rows = argument(graph, 'rows', 'float32', [null, 3]);
    const result = mapRows('work', rows, (row) => {
      const number = (value: number) => constant(row.node.graph, 'float32', value);
      return floor(divide(maximum(add(multiply(row, number(3)), number(1)), number(0)), number(2)));
    });
    expect(result.shape).toEqual([null, 3]);
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, 'saved_model.pb'), encodeSavedModel(graph));
    const binding = loadBinding();
    const model = binding.loadSavedModel(folder, 'serve');
    const values = Float32Array.of(1, 2, 3, -4, 5.5, 0);
    const id = binding.createTensor([2, 3], dtypes.float32, values);
    const [fetched] = binding.runSavedModel(model, [id], 'rows:0', `${result.node.name}:0`);
    expect(fetched!.shape).toEqual([2, 3]);
    expect([...binding.tensorDataSync(fetched!.id)]).toEqual(
      Array.from(values, (value) => Math.floor(Math.max(3 * value + 1, 0) / 2)),
    );
    for (const each of [id, fetched!.id]) binding.deleteTensor(each);
    binding.deleteSavedModel(model);
  });

  test('refuses an operation that it cannot name inside a function', () => {
    const graph = new Graph();
    mapRows('work', argument(graph, 'rows', 'string', [null]), (row) => row);
    mapRows('more', argument(graph, 'floats', 'float32', [null, 2]), (row) =>
      multiply(row, argument(row.node.graph, 'stray', 'float32', [2])),
    );
    expect(() => encodeSavedModel(graph)).toThrow('Placeholder is not known inside a function');
  });
});

describe('signatures', () => {
  test('are what tfjs-node calls a model by, strings included', async () => {
    const graph = new Graph();
    const files = argument(graph, 'inner/files', 'string', [null]);
    const signature = {
      name: 'count',
      inputs: { jpeg: files },
      outputs: {
        probabilities: constant(graph, 'float32', [0.25, 0.75]),
        classes: constantStrings(graph, ['Löwe', 'cat']),
      },
    };
    const folder = path.join(temporaryFolder(), 'model');
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'saved_model.pb'), encodeSavedModel(graph, [signature]));
    const tf = loadTfjsNode();
    const model = await tf.node.loadSavedModel(folder, ['serve'], 'count');
    const answer = model.predict({ jpeg: tf.tensor1d([Uint8Array.of(1)], 'string') });
    expect([...(await answer.probabilities.data())]).toEqual([0.25, 0.75]);
    expect([...(await answer.classes.data())]).toEqual(['Löwe', 'cat']);
  });
});
