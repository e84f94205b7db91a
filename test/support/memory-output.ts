import { PassThrough } from 'node:stream';

/** Something to write to that remembers what was written. */
export function memoryOutput(terminal: { isTTY?: boolean; columns?: number } = {}) {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return Object.assign(stream, terminal, {
    text: () => text,
    lines: () => text.split('\n').slice(0, -1),
  });
}
