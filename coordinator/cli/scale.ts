import { setTimeout } from 'node:timers/promises';
import { Argument } from 'commander';
import type { RunStatus } from '../../proto/run-status.js';
import { RondoError } from '../../runtime/errors.js';
import { printableJson, writeLines } from '../../runtime/printable.js';
import type { ControlConnection } from '../cluster/control.js';
import { formatCount } from '../terminal/figures.js';
import { commandOnRun, wholeNumber } from './command-options.js';
import { type AskEnvironment, type AskFlags, addAskOptions, askRun } from './connect-run.js';

const pollMs = 200;

interface ScaleFlags extends AskFlags {
  readonly wait: boolean;
  readonly json?: boolean;
}

export function scaleCommand(environment: AskEnvironment) {
  const command = commandOnRun(
    'scale',
    'Changes the number of workers of a run that goes on. Its result stays the same, bit for bit.',
  )
    .addArgument(
      new Argument('<N>', 'workers that are to compute together, those from elsewhere included').argParser(
        wholeNumber(1, 1024),
      ),
    )
    .option('--no-wait', 'do not wait until the run goes on with so many')
    .option('--json', 'one JSON object per line')
    .addHelpText(
      'after',
      `
Workers are started and stopped on the machine of the run's coordinator. A new one prepares beside the others, who pause only for the
moment in which it copies their state; one that is stopped finishes the step first. Workers keep the run's number of threads, so that more of
them than there are cores gain nothing. The limits are the run's --min-workers and --max-workers.

Ctrl-C ends the waiting, and nothing else.

Examples:
  coordinator scale pets 4
  coordinator scale pets 1 --no-wait
  coordinator scale pets 4 --coordinator 10.0.0.1:7070 --token 3k9x2a.… --ca-hash sha256:…
      from another machine: \`coordinator token create pets --for operator\` prints these options`,
    )
    .action(async (run: string, workers: number, { wait, json, ...flags }: ScaleFlags) => {
      const say = (event: object, text: string) =>
        writeLines(environment.output, [json ? printableJson(event) : text]);
      await askRun(run, flags, environment, async (connection, signal) => {
        const { worldSize: before } = await connection.status();
        const { starting, stopping } = await connection.scale(workers);
        const doing = [
          ...(starting.length === 0 ? [] : [`starting ${starting.join(', ')}`]),
          ...(stopping.length === 0 ? [] : [`stopping ${stopping.join(', ')}`]),
        ];
        const change = { kind: 'scaling', before, workers, starting, stopping };
        say(
          change,
          `run ${run}: ${before} → ${formatCount(workers, 'worker')}${doing.length === 0 ? '' : `, ${doing.join(', ')}`}`,
        );
        if (wait) {
          const status = await awaitWorkers(connection, workers, signal);
          const { generation, worldSize, steps } = status;
          const scaled = { kind: 'scaled', generation, worldSize, steps };
          say(
            scaled,
            `it goes on with ${formatCount(worldSize, 'worker')} from step ${steps}, generation ${generation}`,
          );
        }
      });
    });
  return addAskOptions(command);
}

async function awaitWorkers(
  connection: ControlConnection,
  workers: number,
  signal: AbortSignal,
): Promise<RunStatus> {
  for (;;) {
    const status = await connection.status();
    const isTraining = status.phase === 'training' || status.phase === 'preparing';
    if (isTraining && status.worldSize === workers) return status;
    if (status.phase === 'ended') {
      throw new RondoError('failed-precondition', 'the run ended before it went on with so many workers');
    }
    await setTimeout(pollMs, undefined, { signal });
  }
}
