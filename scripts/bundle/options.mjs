import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { SetupError } from '../setup/errors.mjs';

export const help = `Makes a bundle of Rondo for machines without a network: Node, TensorFlow, the compiled programs, in pieces to carry.

usage: npm run bundle -- --out DIR [OPTIONS]

  --out DIR           a folder that is not there yet, or empty
  --gpu sm_NN         TensorFlow's CUDA runtime, with the machine code of this GPU generation only: sm_80 (A100), sm_89 (L4, RTX 40),
                      sm_90 (H100, H200); without it, TensorFlow's CPU runtime
  --cuda bundled      with --gpu: NVIDIA's CUDA libraries are in the bundle (the default; about 3 GB are fetched)
  --cuda host         with --gpu: the other machine has them, as PyTorch brings them; unpack.py finds them there
  --piece-size SIZE   of each file, such as 58MiB or 2GB (default: 1GiB)
  --fast              compress less: a tenth of the time, a quarter more bytes
  --wheel FILE        a TensorFlow wheel that is here already, instead of a download
  --help              this

On the other machine, which needs Linux on the same processor architecture, glibc, libstdc++ and Python 3.8:

  python3 DIR/unpack.py rondo && rondo/bin/coordinator start --workers 4
`;

/**
 * @typedef {object} Options
 * @property {boolean} help
 * @property {string} out absolute
 * @property {number | null} gpu the generation's number, as 90; null for the CPU runtime
 * @property {'bundled' | 'host'} cuda
 * @property {number} pieceBytes
 * @property {boolean} fast
 * @property {string | undefined} wheel
 */

/**
 * @param {string[]} args
 * @returns {Options}
 */
export function parseOptions(args) {
  const values = parse(args);
  const gpu = values.gpu === undefined ? null : readGeneration(values.gpu);
  if (values.help !== true && values.out === undefined) {
    throw wrong('--out is missing: it names the folder that the bundle is written to.');
  }
  if (values.cuda !== undefined && gpu === null) {
    throw wrong(
      '--cuda says where the CUDA libraries of a GPU bundle are; give --gpu sm_NN too, or leave it out.',
    );
  }
  const cuda = values.cuda ?? 'bundled';
  if (cuda !== 'bundled' && cuda !== 'host') throw wrong(`--cuda is "bundled" or "host", not "${cuda}".`);
  return {
    help: values.help === true,
    out: resolve(values.out ?? ''),
    gpu,
    cuda,
    pieceBytes: readSize(values['piece-size'] ?? '1GiB'),
    fast: values.fast === true,
    wheel: values.wheel,
  };
}

/** @param {string} text */
function readGeneration(text) {
  const match = /^sm_([1-9]\d{1,2})$/.exec(text);
  if (match === null) {
    throw wrong(`--gpu is "${text}", but must be a GPU generation such as sm_90 (an H100's).`);
  }
  return Number(match[1]);
}

const units = { MB: 1e6, MiB: 2 ** 20, GB: 1e9, GiB: 2 ** 30 };
const smallestPieceBytes = 1e6;

/** @param {string} text */
function readSize(text) {
  const match = /^(\d+(?:\.\d+)?)(MB|MiB|GB|GiB)$/.exec(text);
  const bytes =
    match === null ? 0 : Math.floor(Number(match[1]) * units[/** @type {keyof typeof units} */ (match[2])]);
  if (bytes >= smallestPieceBytes) return bytes;
  throw wrong(`--piece-size is "${text}", but must be a size of at least 1MB, such as 58MiB, 500MB or 2GiB.`);
}

/** @param {string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args,
      options: {
        out: { type: 'string' },
        gpu: { type: 'string' },
        cuda: { type: 'string' },
        'piece-size': { type: 'string' },
        fast: { type: 'boolean' },
        wheel: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
}

/** @param {string} message */
function wrong(message) {
  return new SetupError(message, '`npm run bundle -- --help` lists the options.');
}
