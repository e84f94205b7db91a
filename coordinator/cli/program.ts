import { Command, CommanderError } from 'commander';
import { exitCodesHelp, RondoError } from '../../runtime/errors.js';
import { version } from '../../runtime/installation.js';
import { maskUrls } from '../../runtime/mask-urls.js';
import { chaosCommand } from './chaos.js';
import { dataCommand } from './data-plan.js';
import { exportCommand } from './export.js';
import { interpretCommand } from './interpret.js';
import { logsCommand } from './logs.js';
import { lrFindCommand } from './lr-find.js';
import { packCommand } from './pack.js';
import { predictCommand } from './predict.js';
import { runsCommand } from './runs.js';
import { scaleCommand } from './scale.js';
import { showBatchCommand } from './show-batch.js';
import { type StartEnvironment, startCommand } from './start.js';
import { statusCommand } from './status.js';
import { tokenCommand } from './token.js';
import { verifyRunCommand } from './verify-run.js';

/** The coordinator's command line. It writes to `environment.output` and throws instead of exiting. */
export function buildProgram(environment: StartEnvironment): Command {
  const program = new Command('coordinator')
    .description('Trains image classifiers on as many workers as you have.')
    .version(version)
    .addHelpText('after', '\n`coordinator start --workers 4` trains something real at once.');
  program.addCommand(startCommand(environment));
  program.addCommand(verifyRunCommand(environment));
  program.addCommand(runsCommand(environment));
  program.addCommand(statusCommand(environment));
  program.addCommand(logsCommand(environment));
  program.addCommand(scaleCommand(environment));
  program.addCommand(chaosCommand(environment));
  program.addCommand(lrFindCommand(environment));
  program.addCommand(interpretCommand(environment));
  program.addCommand(predictCommand(environment));
  program.addCommand(showBatchCommand(environment));
  program.addCommand(packCommand(environment));
  program.addCommand(dataCommand(environment));
  program.addCommand(exportCommand(environment));
  program.addCommand(tokenCommand(environment));
  for (const command of listCommands(program)) {
    command.addHelpText('after', `\n${exitCodesHelp}`);
    command.exitOverride().configureOutput({
      writeOut: (text) => environment.output.write(text),
      // Not printed here: the caller prints the error that is thrown.
      outputError: () => {},
    });
  }
  return program;
}

/** The program, its commands, and those inside them. */
function listCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(listCommands)];
}

/**
 * What commander throws, in Rondo's words; null when it was a request for help or the version, which has been
 * answered.
 */
export function translateUsageError(thrown: unknown): unknown {
  if (!(thrown instanceof CommanderError)) return thrown;
  if (thrown.exitCode === 0) return null;
  // It names what was given, which may be a URL.
  const message = maskUrls(thrown.message.replace(/^error: /, ''));
  return new RondoError(
    'invalid-argument',
    message === '(outputHelp)' ? 'there is no command given' : message,
    {
      remedy: '`coordinator --help` and `coordinator start --help` list what there is',
    },
  );
}
