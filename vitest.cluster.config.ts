import { defineConfig } from 'vitest/config';
import base from './vitest.config.js';

// A whole Kubernetes, as root, which takes minutes: `npm run test:cluster`.
const clusterMs = 3_600_000;
export default defineConfig({
  test: {
    ...base.test,
    include: ['test/cluster/**/*.test.ts'],
    exclude: [],
    testTimeout: clusterMs,
    hookTimeout: clusterMs,
  },
});
