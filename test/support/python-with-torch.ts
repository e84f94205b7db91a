import { execFileSync, spawnSync } from 'node:child_process';

/** The interpreter that tests against PyTorch run: RONDO_BENCH_PYTHON, else python3. */
const python = process.env.RONDO_BENCH_PYTHON || 'python3';

/** Null where that interpreter imports the modules; otherwise why tests that need them are left out. */
export function whyWithout(...modules: readonly string[]): string | null {
  const { status, error } = spawnSync(python, ['-c', `import ${modules.join(', ')}`], { stdio: 'ignore' });
  if (status === 0) return null;
  return error ? `there is no ${python}` : `${python} cannot import ${modules.join(' and ')}`;
}

/** What a program prints. */
export function runPython(program: string, ...inputs: readonly string[]): string {
  return execFileSync(python, ['-c', program, ...inputs], { encoding: 'utf8', maxBuffer: 1 << 26 });
}
