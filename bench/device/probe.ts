import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { workerEnvironment } from '../../coordinator/launch/worker-environment.js';
import { parseJson } from '../../runtime/parse-json.js';
import { answerSchemas, type Place, script } from './place.js';

/** What there is to compute on, and whether TensorFlow takes it. */
export interface Probe {
  readonly device: 'cpu' | 'gpu';
  /** The card, its driver and its memory, as nvidia-smi says; null on a CPU. */
  readonly card: string | null;
  readonly tensorflow: string;
  /** Why TensorFlow takes no GPU though one was wanted: its own words. Empty where it does, or none was. */
  readonly obstacles: readonly string[];
}

const telling = { TF_CPP_MIN_LOG_LEVEL: '0', TF_CPP_MAX_VLOG_LEVEL: '1' };
const aboutGpus =
  /dlerror|could not load|cannot dlopen|skipping registering|CUDA_ERROR|failed call to cuInit|no CUDA-capable|created device|loaded cuDNN/i;
const timeoutMs = 120_000;

/**
 * Loads TensorFlow in a process of its own, on the first GPU where one is `wanted`. @throws Error when that
 * fails.
 */
export async function probeDevice(wanted: boolean, place: Place): Promise<Probe> {
  const worker = { index: 0, threads: place.threads, gpus: wanted ? ['0'] : [] };
  const env = workerEnvironment({ ...process.env, ...telling }, worker);
  const input = `${JSON.stringify({ kind: 'probe' })}\n`;
  const { status, stdout, stderr, error } = spawnSync(
    process.execPath,
    [script, JSON.stringify({ ...place, device: wanted ? 'gpu' : 'cpu' })],
    { env, input, encoding: 'utf8', timeout: timeoutMs, maxBuffer: 2 ** 28 },
  );
  if (error !== undefined || status !== 0) {
    throw new Error(`TensorFlow cannot be loaded: ${error?.message ?? stderr.slice(-2000)}`);
  }
  const { version, usesGpu } = parseJson(answerSchemas.probe, stdout, {
    name: 'what TensorFlow says of the device',
  });
  const said = stderr.split('\n').filter((line) => aboutGpus.test(line));
  return {
    device: usesGpu ? 'gpu' : 'cpu',
    card: usesGpu ? await nameCard() : null,
    tensorflow: version,
    obstacles: wanted && !usesGpu ? said.slice(0, 20) : [],
  };
}

async function nameCard(): Promise<string> {
  try {
    const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'];
    return (await promisify(execFile)('nvidia-smi', query)).stdout.split('\n')[0]!.trim();
  } catch {
    return 'a GPU that nvidia-smi does not name';
  }
}
