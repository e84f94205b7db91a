import { defineConfig } from 'vitest/config';

// Forks, not threads: TensorFlow may be loaded in one thread of a process only.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // vitest.long.config.ts, vitest.faults.config.ts and vitest.cluster.config.ts run these; of the faults some are
    // tried here too (test/faults/fault-table.ts).
    exclude: ['test/long/**', 'test/faults/!(workers).test.ts', 'test/cluster/**'],
    pool: 'forks',
    maxWorkers: 2,
    // Generous: a slow machine is no failure. What must be quick says so itself.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
