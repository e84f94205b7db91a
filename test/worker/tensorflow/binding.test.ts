import { expect, it } from 'vitest';
import { loadBinding } from '../../../worker/tensorflow/binding.js';

it('has TensorFlow repeat its bits on GPUs too, and leaves alone what the user has set', () => {
  process.env.TF_CPP_MIN_LOG_LEVEL = '3';
  for (const name of ['TF_DETERMINISTIC_OPS', 'TF_CUDNN_USE_AUTOTUNE']) delete process.env[name];
  loadBinding();
  // Kernels that repeat their bits, and no choice among them by the time that they take.
  expect(process.env).toMatchObject({
    ...{ TF_DETERMINISTIC_OPS: '1', TF_CUDNN_USE_AUTOTUNE: '0', TF_CPP_MIN_LOG_LEVEL: '3' },
  });
});
