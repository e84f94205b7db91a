import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SetupError } from './errors.mjs';
import { makeFolder } from './files.mjs';
import { root } from './places.mjs';

const source = 'worker/arithmetic/kernels.wat';
const generated = join(root, 'worker', 'arithmetic', 'gen', 'kernels.ts');

/** What the assembled kernels depend on. */
export const kernelSources = [source, 'node_modules/wabt/package.json'];

export function kernelsAreAssembled() {
  return statSync(generated, { throwIfNoEntry: false }) !== undefined;
}

/**
 * Assembles the WebAssembly text of the kernels into a module of TypeScript that holds it as base64, so that
 * whatever compiles, tests or bundles the sources finds it: once for memory of one thread, once for shared
 * memory, which WebAssembly tells apart.
 */
export async function assembleKernels() {
  const { default: openWabt } = await import('wabt');
  const wabt = await openWabt();
  const text = readFileSync(join(root, source), 'utf8');
  const shared = text.replace(/\(memory (\d+ \d+)\)/, '(memory $1 shared)');
  const features = { simd: true, threads: true };
  /** @param {string} variant */
  const assemble = (variant) => {
    const module = wabt.parseWat(source, variant, features);
    module.validate(features);
    return Buffer.from(module.toBinary({}).buffer).toString('base64');
  };
  try {
    const modules = `{\n  own: '${assemble(text)}',\n  shared: '${assemble(shared)}',\n}`;
    const code = `// Assembled from ${source} by scripts/setup/kernels.mjs.\nexport const assembled = ${modules};\n`;
    if (kernelsAreAssembled() && readFileSync(generated, 'utf8') === code) return;
    makeFolder(dirname(generated));
    writeFileSync(generated, code);
  } catch (error) {
    throw new SetupError(
      `${source} cannot be assembled: ${error instanceof Error ? error.message : error}`,
      'Correct it; if it has not been changed, remove node_modules and run `npm run setup` again.',
    );
  }
}
