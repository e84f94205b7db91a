import { RondoError } from '../../runtime/errors.js';
import { HelpRequest } from './arguments.js';

/**
 * Runs a bench with the command line's arguments; an error becomes one message and its exit code, --help the
 * usage.
 */
export async function runMain(main: (args: readonly string[]) => Promise<void>): Promise<void> {
  try {
    await main(process.argv.slice(2));
  } catch (thrown) {
    if (thrown instanceof HelpRequest) {
      return console.log(`${thrown.usage}\nbench/README.md says what it measures and how to read it.`);
    }
    const { message, remedy, exitCode } = RondoError.from(thrown);
    console.error(remedy === undefined ? message : `${message}\n${remedy}`);
    process.exitCode = exitCode;
  }
}
