import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/**
 * A process that answers a line of JSON on its standard output to each on its standard input, one at a time.
 */
export interface LineProcess {
  /** @throws Error when the process ends before it answers. */
  ask<Answer>(question: object): Promise<Answer>;
  /** Ends its input and waits until it is gone. */
  close(): Promise<void>;
}

export function openLineProcess(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): LineProcess {
  const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${command} ${args[0]} ended with ${code}`);
  });
  ended.catch(() => {});
  child.stdin.on('error', () => {});
  return {
    async ask<Answer>(question: object) {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      const [line] = (await Promise.race([once(answers, 'line'), ended])) as [string];
      return JSON.parse(line) as Answer;
    },
    async close() {
      child.stdin.end();
      await ended.catch(() => {});
    },
  };
}
