interface OutputStream {
  write(text: string): unknown;
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
}

const readerIsGone: ReadonlySet<string | undefined> = new Set(['EPIPE', 'EIO']);

/** Whether some of the output could not be written. */
export interface OutputGuard {
  readonly lost: boolean;
}

/**
 * Keeps a program running when its output cannot be written, because its results are in files. It is no error
 * when the reader of a pipe exits early (`| head`) or the terminal is closed; anything else, such as a full
 * disk, is reported once on standard error and sets `lost`.
 */
export function guardOutput(stdout: OutputStream, stderr: OutputStream): OutputGuard {
  let lost = false;
  stderr.on('error', () => {});
  stdout.on('error', (error) => {
    if (readerIsGone.has(error.code) || lost) return;
    lost = true;
    const why = error.code === 'ENOSPC' ? 'there is no room where it goes' : error.message;
    stderr.write(
      `error: cannot write to standard output: ${why}\n` +
        '  free some space there, or send the output elsewhere; the command goes on without it\n',
    );
  });
  return {
    get lost() {
      return lost;
    },
  };
}
