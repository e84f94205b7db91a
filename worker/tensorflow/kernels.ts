import { readdirSync, readFileSync } from 'node:fs';
import koffi from 'koffi';
import type { Kernels } from '../../proto/gen/coordinator.js';
import { usableCores } from '../../runtime/cores.js';
import type { Binding } from './binding.js';

/** oneDNN's names (`ONEDNN_MAX_CPU_ISA`), best first, and the flags of /proc/cpuinfo that each needs. */
const instructionSets: readonly (readonly [name: string, flags: readonly string[]])[] = [
  ['AVX512_CORE_AMX', ['avx512f', 'amx_tile', 'amx_int8', 'amx_bf16']],
  ['AVX512_CORE_FP16', ['avx512f', 'avx512_fp16', 'avx512_bf16', 'avx512_vnni']],
  ['AVX512_CORE_BF16', ['avx512f', 'avx512_bf16', 'avx512_vnni']],
  ['AVX512_CORE_VNNI', ['avx512f', 'avx512_vnni']],
  ['AVX512_CORE', ['avx512f', 'avx512bw', 'avx512vl', 'avx512dq']],
  ['AVX2_VNNI', ['avx2', 'fma', 'avx_vnni']],
  ['AVX2', ['avx2', 'fma']],
  ['AVX', ['avx']],
  ['SSE41', ['sse4_1']],
];

/** tensorflow::IsMklEnabled() of tensorflow/core/util/port.cc: oneDNN's kernels are in use. */
const isMklEnabled = 'bool _ZN10tensorflow12IsMklEnabledEv()';

/**
 * Which kernels compute in this process, once TensorFlow is loaded: their bits, not only their speed, depend
 * on all of this.
 */
export function describeKernels(binding: Pick<Binding, 'TF_Version' | 'isUsingGpuDevice'>): Kernels {
  const { processor, instructionSet } = describeProcessor(readProcessor(), process.env.ONEDNN_MAX_CPU_ISA);
  const gpu = binding.isUsingGpuDevice();
  return {
    tensorflow: binding.TF_Version,
    gpu,
    oneDnn: askForOneDnn(),
    processor: gpu ? chooseGpu(readGpus(), process.env.CUDA_VISIBLE_DEVICES) : processor,
    instructionSet,
    threads: Number(process.env.TF_NUM_INTRAOP_THREADS) || usableCores(),
  };
}

/**
 * From the text of /proc/cpuinfo: the processor's name, and the best instruction set that oneDNN may use on
 * it, in oneDNN's words; `limit` is ONEDNN_MAX_CPU_ISA. Both are as Node's `process.arch` where the text does
 * not say.
 */
export function describeProcessor(
  cpuinfo: string,
  limit: string | undefined,
): { processor: string; instructionSet: string } {
  const field = (name: string) => new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(cpuinfo)?.[1]?.trim();
  const flags = new Set(field('flags')?.split(/\s+/));
  const highest = instructionSets.findIndex(([name]) => name === limit?.toUpperCase());
  const allowed = instructionSets.slice(Math.max(0, highest));
  const found = allowed.find(([, needed]) => needed.every((flag) => flags.has(flag)));
  return { processor: field('model name') || process.arch, instructionSet: found?.[0] ?? process.arch };
}

/**
 * The model of the first GPU that may be used, from what the driver says of each, in the order of their
 * addresses; `visible` is CUDA_VISIBLE_DEVICES.
 */
export function chooseGpu(descriptions: readonly string[], visible: string | undefined): string {
  const models = descriptions.map((text) => /^Model:\s*(.*)$/m.exec(text)?.[1]?.trim());
  const index = Number(visible?.split(',')[0] || 0);
  return models[index] ?? models[0] ?? 'GPU of unknown model';
}

function readGpus(): string[] {
  const folder = '/proc/driver/nvidia/gpus';
  try {
    return readdirSync(folder)
      .sort()
      .map((address) => readFileSync(`${folder}/${address}/information`, 'utf8'));
  } catch {
    return [];
  }
}

function readProcessor(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}

/** Undefined where this build of TensorFlow does not tell. */
function askForOneDnn(): boolean | undefined {
  try {
    // By the name under which it is loaded already.
    return koffi.load('libtensorflow_framework.so.2').func(isMklEnabled)() as boolean;
  } catch {
    return undefined;
  }
}
