import { sep } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const longest = ['faults', 'e2e'].map((folder) => `${sep}test${sep}${folder}${sep}`);

/** The tests that take minutes come first, so that none of them runs alone at the end. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => longest.some((folder) => moduleId.includes(folder));
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

// Forks, not threads: TensorFlow may be loaded in one thread of a process only.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // vitest.long.config.ts, vitest.faults.config.ts and vitest.cluster.config.ts run these.
    exclude: ['test/long/**', 'test/faults/!(dozen).test.ts', 'test/cluster/**'],
    pool: 'forks',
    // More than CI's two cores: a fifth of the time the whole-process tests wait, for a silence or for each other.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // Generous: a slow machine is no failure. What must be quick says so itself.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
