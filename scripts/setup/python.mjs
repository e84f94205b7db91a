import { SetupError } from './errors.mjs';
import { runCommand } from './run-command.mjs';

/**
 * The Python that fetches and unpacks wheels; RONDO_PYTHON names another than `python3`.
 *
 * @param {Record<string, string | undefined>} env
 */
export async function findPython(env) {
  const python = env.RONDO_PYTHON || 'python3';
  const version = await runCommand(python, ['-c', 'import sys; sys.exit(sys.version_info < (3, 8))']);
  if (version.code === 127) {
    throw new SetupError(`There is no ${python} on this machine.`, 'Install Python 3.8 or later, with pip.');
  }
  if (version.code !== 0) {
    throw new SetupError(`${python} is older than 3.8.`, 'Install a later one, or name one by RONDO_PYTHON.');
  }
  return python;
}

/**
 * @param {string} python
 */
export async function requirePip(python) {
  const { code, output } = await runCommand(python, ['-m', 'pip', '--version']);
  if (code === 0) return;
  throw new SetupError(
    `${python} has no pip: ${output.trim()}`,
    'Install it (Debian and Ubuntu: `apt-get install python3-pip`; elsewhere: `python3 -m ensurepip --user`).',
  );
}
