import { defineConfig } from 'vitest/config';
import { common } from './vitest.config.js';

// A run for every fault in every phase, which is written into docs/faults.md: `npm run test:faults`.
const longMs = 1_200_000;
export default defineConfig({
  test: {
    ...common,
    include: ['test/faults/**/*.test.ts'],
    testTimeout: longMs,
    hookTimeout: longMs,
  },
});
