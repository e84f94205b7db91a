import { parseArgs } from 'node:util';
import { SetupError } from './errors.mjs';

export const help = `Gets everything that Rondo needs, and does nothing when it is all there.

usage: npm run setup [-- OPTIONS]

  --cpu                TensorFlow's CPU runtime (the default the first time)
  --gpu                TensorFlow's CUDA runtime and NVIDIA's libraries (about 3.5 GB)
  --wheel FILE         a TensorFlow wheel that is here already, instead of a download
  --libtensorflow DIR  an installed \`tensorflow\` Python package, or an unpacked libtensorflow archive
  --help               this

What was chosen is kept until something else is.

environment
  RONDO_CACHE          the folder that keeps downloads (else $XDG_CACHE_HOME/rondo, else ~/.cache/rondo)
  RONDO_TF_WHEEL       as --wheel
  RONDO_LIBTENSORFLOW  as --libtensorflow
  RONDO_PYTHON         the Python that fetches wheels (else python3)
  RONDO_NATS_SERVER    the nats-server to use (else on PATH, else one that is built into the cache)
  CXX                  the C++ compiler (else g++, c++ or clang++)
`;

/**
 * @typedef {object} Options
 * @property {boolean} help
 * @property {'cpu' | 'gpu' | undefined} variant
 * @property {string | undefined} wheel
 * @property {string | undefined} libtensorflow
 */

/**
 * @param {string[]} args
 * @returns {Options}
 */
export function parseOptions(args) {
  const values = parse(args);
  if (values.cpu && values.gpu)
    throw new SetupError('--cpu and --gpu exclude each other.', 'Give one of them.');
  return {
    help: values.help === true,
    variant: values.gpu ? 'gpu' : values.cpu ? 'cpu' : undefined,
    wheel: values.wheel,
    libtensorflow: values.libtensorflow,
  };
}

/** @param {string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args,
      options: {
        cpu: { type: 'boolean' },
        gpu: { type: 'boolean' },
        wheel: { type: 'string' },
        libtensorflow: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new SetupError(
      error instanceof Error ? error.message : String(error),
      '`npm run setup -- --help` lists them.',
    );
  }
}
