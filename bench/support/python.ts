import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The Python that peers run on: RONDO_BENCH_PYTHON, else python3. */
export const python = process.env.RONDO_BENCH_PYTHON || 'python3';

/** Version of each module, or null when this Python cannot import one of them. */
export async function findPythonModules(
  modules: readonly string[],
): Promise<Readonly<Record<string, string>> | null> {
  const program = `import json, ${modules.join(', ')}\nprint(json.dumps({m: globals()[m].__version__ for m in ${JSON.stringify(modules)}}))`;
  try {
    const { stdout } = await promisify(execFile)(python, ['-c', program]);
    return JSON.parse(stdout) as Record<string, string>;
  } catch {
    return null;
  }
}
