// One process that computes with a ResNet and fastai's head in tfjs-node's own layers API: reads a task per
// line of standard input, answers with the steps' times. Usage: tfjs-process.mjs SETTING (JSON, as in
// implementation.ts)
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import util from 'node:util';

// Gone from Node 23; the package still calls it.
util.isNullOrUndefined ??= (value) => value === null || value === undefined;
const tf = createRequire(import.meta.url)('@tensorflow/tfjs-node-gpu');

const { arch, size, batch, classes } = JSON.parse(process.argv[2]);
const blocksOf = { resnet18: [2, 2, 2, 2], resnet34: [3, 4, 6, 3] };

const convolve = (filters, kernelSize, strides, x) =>
  tf.layers.conv2d({ filters, kernelSize, strides, padding: 'same', useBias: false }).apply(x);
const norm = (x) => tf.layers.batchNormalization({ epsilon: 1e-5, momentum: 0.9 }).apply(x);
const relu = (x) => tf.layers.reLU().apply(x);

function block(filters, strides, x) {
  const first = relu(norm(convolve(filters, 3, strides, x)));
  const second = norm(convolve(filters, 3, 1, first));
  const shortcut = strides === 1 && x.shape[3] === filters ? x : norm(convolve(filters, 1, strides, x));
  return relu(tf.layers.add().apply([second, shortcut]));
}

function build() {
  const input = tf.input({ shape: [size, size, 3] });
  let x = relu(norm(convolve(64, 7, 2, input)));
  x = tf.layers.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' }).apply(x);
  for (const [group, count] of blocksOf[arch].entries()) {
    for (let index = 0; index < count; index += 1) {
      x = block(64 * 2 ** group, group > 0 && index === 0 ? 2 : 1, x);
    }
  }
  const pools = [tf.layers.globalMaxPooling2d({}), tf.layers.globalAveragePooling2d({})];
  x = tf.layers.concatenate().apply(pools.map((pool) => pool.apply(x)));
  x = tf.layers.dropout({ rate: 0.25 }).apply(norm(x));
  x = norm(relu(tf.layers.dense({ units: 512 }).apply(x)));
  x = tf.layers.dropout({ rate: 0.5 }).apply(x);
  const output = tf.layers.dense({ units: classes, activation: 'softmax' }).apply(x);
  const model = tf.model({ inputs: input, outputs: output });
  model.compile({ optimizer: tf.train.adam(1e-4, 0.95, 0.99), loss: 'sparseCategoricalCrossentropy' });
  return model;
}

const model = build();
const images = tf.randomUniform([batch, size, size, 3], -1, 1);
const labels = tf.tensor1d(Array.from({ length: batch }, (_, sample) => sample % classes));

const train = () => model.trainOnBatch(images, labels);
const predict = async () => {
  const probabilities = model.predict(images, { batchSize: batch });
  const [first] = await probabilities.data();
  probabilities.dispose();
  return first;
};
const seconds = () => Number(process.hrtime.bigint()) / 1e9;

for await (const line of createInterface({ input: process.stdin })) {
  const { steps, work } = JSON.parse(line);
  const spans = [];
  let loss = Number.NaN;
  const before = process.cpuUsage();
  for (let index = 0; index < steps; index += 1) {
    const start = seconds();
    loss = await (work === 'predict' ? predict() : train());
    spans.push([start, seconds()]);
  }
  const { user, system } = process.cpuUsage(before);
  process.stdout.write(`${JSON.stringify({ spans, cpuSeconds: (user + system) / 1e6, loss })}\n`);
}
