import { defineConfig } from 'vitest/config';
import { common } from './vitest.config.js';

// A whole Kubernetes, as root, which takes minutes: `npm run test:cluster`.
const clusterMs = 3_600_000;
export default defineConfig({
  test: {
    ...common,
    include: ['test/cluster/**/*.test.ts'],
    testTimeout: clusterMs,
    hookTimeout: clusterMs,
  },
});
