import { defineConfig } from 'vitest/config';
import { common } from './vitest.config.js';

// What takes minutes, and is no part of `npm test`: `npm run test:long [FILE…]`.
const longMs = 1_200_000;
export default defineConfig({
  test: {
    ...common,
    include: ['test/long/**/*.test.ts'],
    testTimeout: longMs,
    hookTimeout: longMs,
  },
});
