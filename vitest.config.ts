import { defineConfig } from 'vitest/config';

// Forks, not threads: TensorFlow may be loaded in one thread of a process only.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
