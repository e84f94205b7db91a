import { writeLines } from '../../runtime/printable.js';
import { mostLines } from '../terminal/run-log.js';
import { wholeNumber } from './command-options.js';
import {
  type AskEnvironment,
  type AskFlags,
  addAskOptions,
  askRun,
  commandOnActiveRun,
} from './connect-run.js';

interface LogsFlags extends AskFlags {
  readonly follow?: boolean;
  readonly tail?: number;
  readonly json?: boolean;
}

export function logsCommand(environment: AskEnvironment) {
  const command = commandOnActiveRun(
    'logs',
    'Prints what the coordinator of a run that goes on has said: as into a file, what lasts, and how far it is every 30 s.',
  )
    .option('-f, --follow', 'go on with what it says from now on, until the run ends or Ctrl-C')
    .option(
      '--tail <N>',
      `only the last N lines of what it has said (default: all that it keeps, ${mostLines})`,
      wholeNumber(1, mostLines),
    )
    .option('--json', 'the events of `start --json`, one JSON object per line')
    .addHelpText(
      'after',
      `
A coordinator that took another one's place knows what it has said itself. What workers print is in logs/ of the run's folder, or
where they were started.

Examples:
  coordinator logs pets --follow
  coordinator logs --coordinator 10.0.0.1:7070 --token 3k9x2a.… --ca-hash sha256:… --tail 20
      from another machine: \`coordinator token create pets --for operator\` prints these options`,
    )
    .action(async (run: string | undefined, flags: LogsFlags) => {
      const { follow = false, tail = 0, json = false } = flags;
      await askRun(run, flags, environment, async (connection, signal) => {
        for await (const line of connection.readLog({ follow, tail, json }, signal)) {
          writeLines(environment.output, [line]);
        }
      });
    });
  return addAskOptions(command);
}
