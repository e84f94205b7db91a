import { RondoError } from '../../runtime/errors.js';

/** Runs a bench with the command line's arguments; an error becomes one message and its exit code. */
export async function runMain(main: (args: readonly string[]) => Promise<void>): Promise<void> {
  try {
    await main(process.argv.slice(2));
  } catch (thrown) {
    const { message, remedy, exitCode } = RondoError.from(thrown);
    console.error(remedy === undefined ? message : `${message}\n${remedy}`);
    process.exitCode = exitCode;
  }
}
