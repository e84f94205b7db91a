import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SetupError } from './errors.mjs';
import { makeFolder } from './files.mjs';
import { root } from './places.mjs';

const sources = ['worker/arithmetic/kernels.wat', 'worker/data/resample.wat'];

/** What the assembled kernels depend on. */
export const kernelSources = [...sources, 'node_modules/wabt/package.json'];

/** @param {string} source */
const generatedOf = (source) => join(dirname(source), 'gen', `${basename(source, '.wat')}.ts`);

/** What they are assembled to. */
export const assembledKernels = sources.map(generatedOf);

/** @param {string} source */
function isAssembled(source) {
  return statSync(join(root, generatedOf(source)), { throwIfNoEntry: false }) !== undefined;
}

export function kernelsAreAssembled() {
  return sources.every(isAssembled);
}

/**
 * Assembles each WebAssembly text of kernels into a module of TypeScript that holds it as base64, so that
 * whatever compiles, tests or bundles the sources finds it: once for memory of one thread, once for shared
 * memory, which WebAssembly tells apart.
 */
export async function assembleKernels() {
  const { default: openWabt } = await import('wabt');
  const wabt = await openWabt();
  for (const source of sources) assemble(wabt, source);
}

/**
 * @param {Awaited<ReturnType<typeof import('wabt').default>>} wabt
 * @param {string} source
 */
function assemble(wabt, source) {
  const generated = join(root, generatedOf(source));
  const text = readFileSync(join(root, source), 'utf8');
  const shared = text.replace(/\(memory (\d+ \d+)\)/, '(memory $1 shared)');
  const features = { simd: true, threads: true };
  /** @param {string} variant */
  const assembleFor = (variant) => {
    const module = wabt.parseWat(source, variant, features);
    module.validate(features);
    return Buffer.from(module.toBinary({}).buffer).toString('base64');
  };
  try {
    const modules = `{\n  own: '${assembleFor(text)}',\n  shared: '${assembleFor(shared)}',\n}`;
    const code = `// Assembled from ${source} by scripts/setup/kernels.mjs.\nexport const assembled = ${modules};\n`;
    if (isAssembled(source) && readFileSync(generated, 'utf8') === code) return;
    makeFolder(dirname(generated));
    writeFileSync(generated, code);
  } catch (error) {
    throw new SetupError(
      `${source} cannot be assembled: ${error instanceof Error ? error.message : error}`,
      'Correct it; if it has not been changed, remove node_modules and run `npm run setup` again.',
    );
  }
}
