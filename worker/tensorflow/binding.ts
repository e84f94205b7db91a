import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { cpuSessionConfig, sessionConfigVariable } from './session-config.js';

/**
 * TensorFlow's numbers for the element types that this binding can feed or fetch
 * (tensorflow/c/tf_datatype.h). Fetchable: float32, int32, bool (as Uint8Array). Fetching another type
 * throws.
 */
export const dtypes = { float32: 1, int32: 3, uint8: 4, int64: 9, bool: 10 } as const;

export type Dtype = (typeof dtypes)[keyof typeof dtypes];

export type TensorData = Float32Array | Int32Array | Uint8Array;

/** A number that names a tensor, or a loaded model, until it is deleted. */
export type TensorId = number;
export type ModelId = number;

export interface FetchedTensor {
  readonly id: TensorId;
  readonly shape: readonly number[];
  readonly dtype: number;
}

/**
 * The part of tfjs-node's native addon that Rondo uses (binding/tfjs_binding.cc of @tensorflow/tfjs-node-gpu
 * 4.22.0). Every call blocks its thread; a failed one throws an Error that carries TensorFlow's message.
 */
export interface Binding {
  /** The version of the TensorFlow library that was loaded, as in `2.21.0`. */
  readonly TF_Version: string;
  isUsingGpuDevice(): boolean;
  /**
   * A tensor of `shape` over `data`, which must have as many elements. An array whose memory starts at a
   * multiple of 64 bytes is taken without a copy: leave it unchanged until the tensor is deleted.
   */
  createTensor(shape: readonly number[], dtype: Dtype, data: TensorData): TensorId;
  /** A copy of the tensor's elements, row-major. float32, int32 and bool only. */
  tensorDataSync(id: TensorId): TensorData;
  deleteTensor(id: TensorId): void;
  /** Loads the SavedModel in folder `directory`; `tags` separated by commas, as in `serve`. */
  loadSavedModel(directory: string, tags: string): ModelId;
  deleteSavedModel(id: ModelId): void;
  /**
   * Runs once. `inputs` and `outputs` are names separated by commas, as in `a:0,b:0`, in the order of `ids`
   * and results.
   */
  runSavedModel(model: ModelId, ids: readonly TensorId[], inputs: string, outputs: string): FetchedTensor[];
  /** How many tensors were created or fetched and not yet deleted. */
  getNumOfTensors(): number;
  getNumOfSavedModels(): number;
}

/**
 * What TensorFlow reads from the environment when it is loaded, unless the user has set it otherwise.
 * oneDNN's kernels: TensorFlow chooses them by itself only where the processor has AVX-VNNI, AVX512-VNNI,
 * AVX512-BF16 or AMX, and computes with Eigen's elsewhere, which take twice the time
 * (tensorflow/core/util/port.cc). Memory of a GPU as it is needed: workers may share one. Batch norm of
 * bfloat16 in the layout that convolutions have; else it is transposed there and back
 * (tensorflow/core/kernels/fused_batch_norm_op.cc). On a GPU: kernels that repeat their bits, and no choice among
 * them by how long they take (tensorflow/core/kernels/conv_ops_gpu.cc), so that workers agree.
 */
const environmentDefaults: Readonly<Record<string, string>> = {
  TF_CPP_MIN_LOG_LEVEL: '2',
  TF_ENABLE_ONEDNN_OPTS: '1',
  TF_FORCE_GPU_ALLOW_GROWTH: 'true',
  TF_USE_CUDNN_BATCHNORM_SPATIAL_PERSISTENT: '1',
  TF_DETERMINISTIC_OPS: '1',
  TF_CUDNN_USE_AUTOTUNE: '0',
};

const remedy = 'Run `npm run setup`: it fetches the TensorFlow runtime and builds the binding.';
const require = createRequire(import.meta.url);
let loaded: Binding | undefined;

/**
 * Loads TensorFlow into this process, once; later calls answer the same object. Call it from one thread of a
 * process only, and from a worker thread only under SHARE_ENV: no other environment reaches the library. It
 * takes the package's native addon and none of its JavaScript, which would add about a second to every start.
 *
 * @throws RondoError `failed-precondition` when the addon or the libraries that it needs are not there.
 */
export function loadBinding(): Binding {
  if (loaded !== undefined) return loaded;
  const file = addonFile();
  for (const [name, value] of Object.entries(environmentDefaults)) process.env[name] ||= value;
  try {
    loaded = require(file) as Binding;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RondoError('failed-precondition', `TensorFlow cannot be loaded: ${why}`, { remedy, cause });
  }
  delete process.env[sessionConfigVariable];
  if (!loaded.isUsingGpuDevice()) {
    process.env[sessionConfigVariable] = Buffer.from(cpuSessionConfig()).toString('hex');
  }
  return loaded;
}

function addonFile(): string {
  let packageFile: string;
  try {
    packageFile = require.resolve('@tensorflow/tfjs-node-gpu/package.json');
  } catch (cause) {
    const message = 'The package @tensorflow/tfjs-node-gpu is not installed.';
    throw new RondoError('failed-precondition', message, { remedy, cause });
  }
  const file = join(dirname(packageFile), 'lib', 'napi-v8', 'tfjs_binding.node');
  if (!existsSync(file)) {
    throw new RondoError('failed-precondition', `TensorFlow's binding is not built: there is no ${file}.`, {
      remedy,
    });
  }
  return file;
}
