import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openImage } from '../../runtime/images.js';
import { readSafetensors } from '../../worker/model/weights/safetensors.js';
import { type JsonEvent, runCoordinator } from '../support/coordinator-process.js';
import { classes, openTrainedRun, type PredictionLine, probabilitiesOf } from '../support/predictions.js';
import { runPython, whyWithout } from '../support/python-with-torch.js';
import { readSummaryFile } from '../support/run-files.js';
import { loadTfjsNode } from '../support/tfjs-node.js';

const presize = 36;
const runs = await openTrainedRun();
const { data, predict } = runs;
const exportAs = (format: string) => path.join(runs.root, `export-${format}`);

/** Files of the validation set: those that show-batch, told to show all of the training set, does not. */
async function validationFiles(): Promise<string[]> {
  const shown = await runCoordinator([
    ...['show-batch', '--data', data, '--seed', '3', '--size', '32', '--count', '400', '--json'],
    ...['--out', path.join(runs.root, 'all.png')],
  ]);
  const images = shown.events.at(-1) as JsonEvent & { images: { path: string }[] };
  const trained = new Set(images.images.map((image) => image.path));
  const all = classes.flatMap((name) => readdirSync(path.join(data, name)).map((file) => `${name}/${file}`));
  return all.filter((file) => !trained.has(file));
}

describe('coordinator predict', () => {
  it('gives what evaluation gave', async () => {
    const files = await validationFiles();
    expect(files).toHaveLength(12);
    const { epochs } = readSummaryFile(runs.run('tiny'));
    const last = epochs.at(-1)!;
    const paths = files.map((file) => path.join(data, file));
    const { code, told, stderr } = await predict('--checkpoint', 'epoch-0001', '--batch', '5', ...paths);
    expect(code, stderr).toBe(0);
    expect(told.map(({ image }) => image)).toEqual(paths);
    const labels = files.map((file) => classes.indexOf(file.split('/')[0]!));
    const losses = told.map((each, index) => -Math.log(probabilitiesOf(each)[labels[index]!]!));
    const wrong = told.filter(({ top }, index) => top[0]!.class !== classes[labels[index]!]);
    expect(wrong.length / files.length).toBeCloseTo(last.error_rate!, 6);
    expect(losses.reduce((sum, loss) => sum + loss, 0) / losses.length).toBeCloseTo(last.valid_loss!, 4);
  });

  it('names what it cannot read, and fails only when that is everything', async () => {
    const notes = path.join(runs.root, 'notes.txt');
    writeFileSync(notes, 'no image');
    const mixed = await predict(notes, path.join(data, 'red'), path.join(data, 'nowhere.png'));
    expect(mixed.code).toBe(0);
    expect(mixed.told).toHaveLength(20);
    for (const { top } of mixed.told) {
      expect(top.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 5);
      expect(top.map(({ probability }) => -probability)).toEqual(
        top.map(({ probability }) => -probability).sort((a, b) => a - b),
      );
    }
    expect(mixed.byKind('unreadable').map(({ image }) => image)).toEqual([
      notes,
      path.join(data, 'nowhere.png'),
    ]);
    expect(mixed.byKind('summary')).toMatchObject([{ predicted: 20, unreadable: 2 }]);
    expect((await predict(notes)).code).toBe(2);
  });
});

describe('coordinator export', () => {
  const out = exportAs('saved-model');
  const square = path.join(runs.root, 'square.png');
  const wide = path.join(runs.root, 'wide.jpg');
  let given: string;
  let told: readonly PredictionLine[];

  beforeAll(async () => {
    given = path.join(data, 'red', '000.jpg');
    await openImage(readFileSync(given)).resize(presize, presize).png().toFile(square);
    const blue = openImage(readFileSync(path.join(data, 'blue', '001.jpg')));
    await blue.resize(150, 90, { fit: 'fill' }).jpeg().toFile(wide);
    ({ told } = await predict(square, given, wide));
  });

  it('gives a SavedModel that tfjs-node loads and that predicts as the run does', async () => {
    const args = [
      'export',
      'tiny',
      '--run-dir',
      runs.root,
      '--format',
      'saved-model',
      '--out',
      out,
      '--json',
    ];
    const first = await runCoordinator(args);
    expect(first.code, first.stderr).toBe(0);
    expect(readdirSync(out).sort()).toEqual(['README.md', 'classes.json', 'saved_model.pb']);
    expect((await runCoordinator(args)).code).toBe(3);

    const tf = loadTfjsNode();
    const byPixels = await tf.node.loadSavedModel(out, ['serve'], 'serving_default');
    for (const [index, file] of [square, given, wide].entries()) {
      const { data: bytes, info } = await openImage(readFileSync(file))
        .raw()
        .toBuffer({ resolveWithObject: true });
      const shape = [1, info.height, info.width, 3];
      const answer = byPixels.predict({ pixels: tf.tensor4d(Int32Array.from(bytes), shape, 'int32') });
      expect([...(await answer.classes.data())]).toEqual(classes);
      const found = await answer.probabilities.data();
      // What needs no resizing goes in the same to the bit; the rest passes another program's filter.
      const margin = file === square ? 1e-5 : 0.01;
      for (const [label, value] of probabilitiesOf(told[index]!).entries()) {
        expect(Math.abs(found[label]! - value)).toBeLessThan(margin);
      }
    }
    const byFile = await tf.node.loadSavedModel(out, ['serve'], 'serve_jpeg');
    const files = [given, wide].map((file) => new Uint8Array(readFileSync(file)));
    const answer = byFile.predict({ jpeg: tf.tensor1d(files, 'string') });
    const found = await answer.probabilities.data();
    for (const [index, value] of [told[1]!, told[2]!].flatMap(probabilitiesOf).entries()) {
      expect(Math.abs(found[index]! - value)).toBeLessThan(0.01);
    }
  });

  it('gives safetensors with the network and nothing else, that a run can begin with', async () => {
    const out = exportAs('safetensors');
    const exported = await runCoordinator([
      ...['export', 'tiny', '--run-dir', runs.root, '--format', 'safetensors', '--out', out],
    ]);
    expect(exported.code, exported.stderr).toBe(0);
    const tensors = readSafetensors(readFileSync(path.join(out, 'model.safetensors')));
    expect(tensors.get('conv1.weight')?.shape).toEqual([64, 3, 7, 7]);
    expect(tensors.get('layer4.1.bn2.running_var')?.shape).toEqual([512]);
    expect(tensors.get('head.8.weight')?.shape).toEqual([3, 512]);
    expect([...tensors.keys()].filter((name) => name.startsWith('optimizer.'))).toEqual([]);
    const header = readFileSync(path.join(out, 'model.safetensors')).subarray(0, 400).toString();
    expect(header).toContain(JSON.stringify(JSON.stringify(classes)).slice(1, -1));
    expect(JSON.parse(readFileSync(path.join(out, 'classes.json'), 'utf8'))).toEqual(classes);
  });

  const without = whyWithout('tensorflow');
  it.skipIf(without !== null)(
    `is loaded by plain TensorFlow${without ? ` (skipped: ${without})` : ''}`,
    () => {
      const program = `
import json, sys, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
contents = open(sys.argv[2], 'rb').read()
pixels = tf.io.decode_jpeg(contents, channels=3, dct_method='INTEGER_ACCURATE')[None]
answers = [
    model.signatures['serving_default'](pixels=pixels),
    model.signatures['serve_float'](pixels=tf.cast(pixels, tf.float32)),
    model.signatures['serve_jpeg'](jpeg=tf.constant([contents])),
]
print(json.dumps([[a['probabilities'].numpy()[0].tolist(), [c.decode() for c in a['classes'].numpy()]] for a in answers]))
`;
      const answers = JSON.parse(runPython(program, out, given)) as [number[], string[]][];
      expect(answers).toHaveLength(3);
      for (const [found, names] of answers) {
        expect(names).toEqual(classes);
        for (const [label, value] of probabilitiesOf(told[1]!).entries()) {
          expect(Math.abs(found[label]! - value)).toBeLessThan(0.01);
        }
      }
    },
  );
});
