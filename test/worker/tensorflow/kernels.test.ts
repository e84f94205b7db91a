import { spawnSync } from 'node:child_process';
import koffi from 'koffi';
import { describe, expect, it } from 'vitest';
import { loadBinding } from '../../../worker/tensorflow/binding.js';
import { chooseGpu, describeKernels, describeProcessor } from '../../../worker/tensorflow/kernels.js';

const cpuinfo = (flags: string) =>
  `processor\t: 0\nmodel name\t: Some Processor 7\nflags\t\t: fpu sse4_1 ${flags}\n`;

/** Opens a network in a compute thread, as `worker join` and the jobs do, and says what it computes with. */
const inThread = `
import('./dist/worker/compute/threaded-compute.js').then(async ({ startComputeThread }) => {
  const network = { arch: 'resnet18', classes: 2, size: 32, presize: 36, precision: 'float32', dropout: [0, 0] };
  const { kernels } = await startComputeThread().open({ ...network, weightDecay: 0, trainable: [] });
  const read = require('koffi').load(null).func('const char *getenv(const char *)')('TF_ENABLE_ONEDNN_OPTS');
  process.stdout.write(JSON.stringify({ kernels, read }), () => process.kill(process.pid, 'SIGKILL'));
});
`;

function computeInThread(variables: NodeJS.ProcessEnv) {
  const env: NodeJS.ProcessEnv = { ...process.env, ...variables };
  if (variables.TF_ENABLE_ONEDNN_OPTS === undefined) delete env.TF_ENABLE_ONEDNN_OPTS;
  const cwd = new URL('../../..', import.meta.url);
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', inThread], { cwd, env, encoding: 'utf8' });
  expect(stdout, stderr).not.toBe('');
  return JSON.parse(stdout);
}

describe('the kernels that compute', () => {
  it('are oneDNN’s wherever the binding is loaded, whatever TensorFlow would choose on this processor', () => {
    const binding = loadBinding();
    // What the library reads: `process.env` is not the environment itself in every thread.
    const getenv = koffi.load(null).func('const char *getenv(const char *)');
    expect(getenv('TF_ENABLE_ONEDNN_OPTS')).toBe('1');
    expect(describeKernels(binding)).toMatchObject({
      gpu: false,
      oneDnn: true,
      tensorflow: binding.TF_Version,
    });
  });

  it.each([
    ['are oneDNN’s in a compute thread', {}, '1', true],
    ['are oneDNN’s when the variable is there, but empty', { TF_ENABLE_ONEDNN_OPTS: '' }, '1', true],
    ['are those that the user asked for', { TF_ENABLE_ONEDNN_OPTS: '0' }, '0', false],
  ])('%s', (_, variables, read, oneDnn) => {
    expect(computeInThread({ ...variables, TF_NUM_INTRAOP_THREADS: '1' })).toMatchObject({
      read,
      kernels: { oneDnn, threads: 1 },
    });
  });
});

describe('chooseGpu', () => {
  const described = (model: string) => `Model: \t\t ${model}\nIRQ:   \t\t 77\n`;
  const two = [described('NVIDIA H100 80GB HBM3'), described('Tesla T4')];

  it.each([
    [undefined, 'NVIDIA H100 80GB HBM3'],
    ['1', 'Tesla T4'],
    ['1,0', 'Tesla T4'],
    ['GPU-5f3c', 'NVIDIA H100 80GB HBM3'],
    ['7', 'NVIDIA H100 80GB HBM3'],
  ])('names the model of the first that %s lets be seen', (visible, model) => {
    expect(chooseGpu(two, visible)).toBe(model);
  });

  it('says when it does not know', () => {
    expect(chooseGpu([], '0')).toBe('GPU of unknown model');
    expect(chooseGpu(['no model'], undefined)).toBe('GPU of unknown model');
  });
});

describe('describeProcessor', () => {
  it.each([
    ['avx avx2 fma', undefined, 'AVX2'],
    ['avx avx2', undefined, 'AVX'],
    ['avx avx2 fma avx_vnni', undefined, 'AVX2_VNNI'],
    ['avx avx2 fma avx512f avx512bw avx512vl avx512dq', undefined, 'AVX512_CORE'],
    [
      'avx avx2 fma avx512f avx512bw avx512vl avx512dq avx512_vnni avx512_bf16',
      undefined,
      'AVX512_CORE_BF16',
    ],
    ['avx avx2 fma avx512f avx512bw avx512vl avx512dq avx512_vnni avx512_bf16', 'avx2', 'AVX2'],
    ['avx avx2 fma avx512f amx_tile amx_int8 amx_bf16', 'ALL', 'AVX512_CORE_AMX'],
    ['', undefined, 'SSE41'],
  ])('finds the best of "%s" within %s', (flags, limit, instructionSet) => {
    expect(describeProcessor(cpuinfo(flags), limit)).toEqual({
      processor: 'Some Processor 7',
      instructionSet,
    });
  });

  it('is content with a system that says nothing', () => {
    expect(describeProcessor('', undefined)).toEqual({
      processor: process.arch,
      instructionSet: process.arch,
    });
  });
});
