import { writeSync } from 'node:fs';

let timer: NodeJS.Timeout | undefined;

/**
 * Sees to it that this process ends within `graceMs`: time for threads to come out of what they are doing, metrics to
 * be sent, files to be closed. Only the first call counts. A thread in native code or in a file system that hangs can
 * be neither interrupted nor left behind, and Node waits for it even in process.exit: then only SIGKILL ends
 * the process.
 */
export function endInTime(graceMs: number): void {
  timer ??= setTimeout(() => {
    writeSync(
      process.stderr.fd,
      `worker: a thread did not end within ${graceMs / 1_000} s, so the process is killed\n`,
    );
    endAtOnce();
  }, graceMs);
  timer.unref();
}

/** Ends this process at once, without any clean-up. */
export function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
}
