/** Defaults that other commands share with `coordinator start`. */
export const defaults = {
  workers: 1,
  listen: '127.0.0.1:0',
  runDir: 'runs',
} as const;
