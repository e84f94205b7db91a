interface OutputStream {
  write(text: string): unknown;
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
}

const readerIsGone: ReadonlySet<string | undefined> = new Set(['EPIPE', 'EIO']);

/** Whether all that was printed has arrived. */
export interface OutputGuard {
  readonly lost: boolean;
}

/**
 * Keeps a program going when what it prints cannot be written: its work is in files. The reader of a pipe may
 * leave before the end (`| head`), and a terminal be closed, which is no error; a full disk is one, is said
 * once on standard error, and counts in `lost`.
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
        '  free some space there, or send the output elsewhere; what was begun goes on without it\n',
    );
  });
  return {
    get lost() {
      return lost;
    },
  };
}
