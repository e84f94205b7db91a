import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';
import { parseJson } from '../../runtime/parse-json.js';

/** The Python that peers run on: RONDO_BENCH_PYTHON, else python3. */
export const python = process.env.RONDO_BENCH_PYTHON || 'python3';

/** Version of each module, or null when this Python cannot import one of them. */
export async function findPythonModules(
  modules: readonly string[],
): Promise<Readonly<Record<string, string>> | null> {
  const program = `import json, ${modules.join(', ')}\nprint(json.dumps({m: globals()[m].__version__ for m in ${JSON.stringify(modules)}}))`;
  try {
    const { stdout } = await promisify(execFile)(python, ['-c', program]);
    return parseJson(z.record(z.string(), z.string()), stdout, {
      name: `what ${python} says of its modules`,
    });
  } catch {
    return null;
  }
}
