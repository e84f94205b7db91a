import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** What ends a server when this process is gone. */
export interface Guard {
  readonly pid: number;
  /** Resolves when it has ended, and the server. */
  readonly ended: Promise<void>;
  /** From now on the server outlives this process: until then nobody could find it. */
  outlive(): void;
  /** Has it end the server now. */
  end(): void;
}

/**
 * A shell that holds the reading end of a pipe from this process: when this process is gone, even by SIGKILL, the pipe
 * closes and the shell ends the server, `outlivesMs` later where `outlive` was called and `end` was not, if the process
 * is still the one that `config` stands on the command line of. When the server ends first while this process lives,
 * the shell does too.
 */
export function guardProcess(
  { pid, config }: { readonly pid: number; readonly config: string },
  exited: Promise<void>,
  outlivesMs: number,
): Guard {
  if (pid === 0) return { pid, ended: exited, outlive() {}, end() {} };
  const script = [
    // One line for `outlive`, another for `end`.
    `read line && { read line || sleep ${Math.ceil(outlivesMs / 1_000)}; }`,
    // Where nobody waits for the server its number may have become another's.
    `case "$(cat /proc/${pid}/cmdline 2>/dev/null || ps -o command= -p ${pid})" in *"$1"*) kill -TERM ${pid};; esac`,
  ];
  const guard = spawn('/bin/sh', ['-c', script.join('; '), 'sh', config], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.on('error', () => {});
  const guardExited = once(guard, 'exit').catch(() => {});
  const ended = exited.then(async () => {
    guard.kill('SIGKILL');
    await guardExited;
  });
  guard.stdin.on('error', () => {});
  return {
    ...{ pid: guard.pid ?? 0, ended },
    outlive: () => void guard.stdin.write('\n'),
    end: () => void guard.stdin.write('\n\n'),
  };
}
