import { defineConfig } from 'vitest/config';
import base from './vitest.config.js';

// What takes minutes, and is no part of `npm test`: `npm run test:long [FILE…]`.
const longMs = 1_200_000;
export default defineConfig({
  test: {
    ...base.test,
    include: ['test/long/**/*.test.ts'],
    exclude: [],
    testTimeout: longMs,
    hookTimeout: longMs,
  },
});
