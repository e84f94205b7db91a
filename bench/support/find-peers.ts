import { findPythonModules, python } from './python.js';

/**
 * Versions of a peer's Python modules when peers are wanted and there; says on standard error when they are
 * not there.
 */
export async function findPeers(
  wanted: boolean,
  modules: readonly string[],
): Promise<Readonly<Record<string, string>> | null> {
  if (!wanted) return null;
  const versions = await findPythonModules(modules);
  if (versions === null) {
    console.error(
      `no peer: ${python} cannot import ${modules.join(' and ')} (RONDO_BENCH_PYTHON names another)`,
    );
  }
  return versions;
}
