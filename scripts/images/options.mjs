import { parseArgs } from 'node:util';
import { SetupError } from '../setup/errors.mjs';

export const help = `Builds the container images: localhost/rondo/coordinator and localhost/rondo/worker (worker-cuda with --gpu), tagged with the version.

usage: npm run images -- [OPTIONS]

  --gpu sm_NN|all     workers compute on GPUs: TensorFlow's CUDA runtime and NVIDIA's libraries (about 3 GB are fetched), with the machine
                      code of this GPU generation only, which makes the image gigabytes smaller: sm_80 (A100), sm_89 (L4, RTX 40), sm_90
                      (H100, H200); or of all that TensorFlow supports
  --only NAME         coordinator or worker alone
  --base IMAGE        the image to build on (default: node:20-bookworm-slim, by digest)
  --debootstrap       makes the base from Debian's packages and this machine's Node, where no registry is reached; as root
  --engine NAME       podman or docker (default: podman, else docker)
  --prefix NAME       of the images' names (default: localhost/rondo)
  --out DIR           also writes each image there, as an OCI archive
  --help              this

Build where the C library is no newer than the base's (Debian 12: glibc 2.36), for TensorFlow's binding is compiled here.
`;

/**
 * @typedef {object} Options
 * @property {boolean} help
 * @property {number | 'all' | null} gpu a generation's number, as 90; null for CPUs
 * @property {('coordinator' | 'worker')[]} images
 * @property {string | undefined} base
 * @property {boolean} debootstrap
 * @property {string | undefined} engine
 * @property {string} prefix
 * @property {string | undefined} out
 */

/**
 * @param {string[]} args
 * @returns {Options}
 */
export function parseOptions(args) {
  const values = parse(args);
  const { only, engine, base } = values;
  if (only !== undefined && only !== 'coordinator' && only !== 'worker') {
    throw wrong(`--only is "coordinator" or "worker", not "${only}".`);
  }
  if (engine !== undefined && engine !== 'podman' && engine !== 'docker') {
    throw wrong(`--engine is "podman" or "docker", not "${engine}".`);
  }
  if (base !== undefined && values.debootstrap) throw wrong('--base and --debootstrap are two bases.');
  return {
    help: values.help === true,
    gpu: values.gpu === undefined ? null : readGeneration(values.gpu),
    images: only === undefined ? ['coordinator', 'worker'] : [only],
    base,
    debootstrap: values.debootstrap === true,
    engine,
    prefix: values.prefix ?? 'localhost/rondo',
    out: values.out,
  };
}

/** @param {string} text */
function readGeneration(text) {
  if (text === 'all') return text;
  const match = /^sm_([1-9]\d{1,2})$/.exec(text);
  if (match === null) {
    throw wrong(`--gpu is "${text}", but must be a GPU generation such as sm_90 (an H100's), or all.`);
  }
  return Number(match[1]);
}

/** @param {string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args,
      options: {
        gpu: { type: 'string' },
        only: { type: 'string' },
        base: { type: 'string' },
        debootstrap: { type: 'boolean' },
        engine: { type: 'string' },
        prefix: { type: 'string' },
        out: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
}

/** @param {string} message */
function wrong(message) {
  return new SetupError(message, '`npm run images -- --help` lists the options.');
}
