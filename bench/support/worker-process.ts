import { workerEnvironment, workerNodeArguments } from '../../coordinator/launch/worker-environment.js';
import { type LineProcess, openLineProcess } from './line-process.js';

/**
 * A script in a process of its own as a local worker has it, with `place` as JSON in its first argument.
 * `within` is a command that runs it elsewhere, such as in a network namespace; `env` what its environment is
 * made from, this process' own unless given.
 */
export function openWorkerProcess(
  script: string,
  place: object,
  worker: Parameters<typeof workerEnvironment>[1],
  { within = [], env = process.env }: { within?: readonly string[]; env?: NodeJS.ProcessEnv } = {},
): LineProcess {
  const node = [process.execPath, ...workerNodeArguments, script, JSON.stringify(place)];
  const [command, ...args] = [...within, ...node];
  return openLineProcess(command!, args, workerEnvironment(env, worker));
}
