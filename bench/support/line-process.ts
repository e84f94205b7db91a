import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { z } from 'zod';
import { parseJson } from '../../runtime/parse-json.js';

/**
 * A process that answers a line of JSON on its standard output to each on its standard input, one at a time.
 */
export interface LineProcess {
  readonly pid: number;
  /** @throws Error when the process ends before it answers, RondoError when the answer does not fit. */
  ask<Answer>(answer: z.ZodType<Answer>, question: object): Promise<Answer>;
  /** Ends its input and waits until it is gone. */
  close(): Promise<void>;
}

const remedy = 'build again: both ends must be of one version of Rondo (npm run build)';

export function openLineProcess(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): LineProcess {
  const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout });
  const name = `${command} ${args[0]}`;
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${name} ended with ${code}`);
  });
  ended.catch(() => {});
  child.stdin.on('error', () => {});
  return {
    pid: child.pid!,
    async ask(answer, question) {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      const [line] = (await Promise.race([once(answers, 'line'), ended])) as [string];
      return parseJson(answer, line, { name: `the answer of ${name}`, code: 'internal', remedy });
    },
    async close() {
      child.stdin.end();
      await ended.catch(() => {});
    },
  };
}

/** What a process of a bench was opened with: JSON in its first argument. */
export function readPlace<Place>(place: z.ZodType<Place>): Place {
  return parseJson(place, process.argv[2] ?? '', { name: 'the first argument', code: 'internal', remedy });
}

/** Answers each question on standard input with a line on standard output, until that is closed. */
export async function answerLines<Question>(
  question: z.ZodType<Question>,
  answer: (question: Question) => object | Promise<object>,
  lines = createInterface({ input: process.stdin }),
): Promise<void> {
  for await (const line of lines) {
    const asked = parseJson(question, line, { name: 'the question', code: 'internal', remedy });
    process.stdout.write(`${JSON.stringify(await answer(asked))}\n`);
  }
}
