import { buildProgram, translateUsageError } from '../../coordinator/cli/program.js';
import { fakeRun } from './fake-run.js';
import { memoryOutput } from './memory-output.js';

/** What a call of `coordinator` printed, opened and ended with. */
export interface ProgramCall {
  /** Null where the command did not come to its end. */
  readonly code: number | null;
  /** As main prints it; null without one, and where help was asked for. */
  readonly error: unknown;
  readonly text: string;
  readonly lines: readonly string[];
  /** What was opened and closed, in order. */
  readonly calls: readonly string[];
}

/** Calls `coordinator` in this process, over a cluster that computes nothing. */
export async function callProgram(...inputs: string[]): Promise<ProgramCall> {
  const output = memoryOutput();
  const { services, calls } = fakeRun({ eager: true });
  const never = new AbortController().signal;
  let code: number | null = null;
  const program = buildProgram({
    ...{ services, output, argv: ['node', 'coordinator'] },
    openLifecycle: () => ({ signal: never, immediate: never, close() {} }),
    exit: (value) => {
      code = value;
    },
  });
  const error = await program.parseAsync(['node', 'coordinator', ...inputs]).then(
    () => null,
    (thrown: unknown) => translateUsageError(thrown),
  );
  return { code, error, text: output.text(), lines: output.lines(), calls };
}
