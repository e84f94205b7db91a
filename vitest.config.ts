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

/** What all configurations have in common. */
export const common = {
  // Forks, not threads: TensorFlow may be loaded in one thread of a process only.
  pool: 'forks',
  // More than CI's two cores: a fifth of the time the whole-process tests wait, for a silence or for each other.
  maxWorkers: 3,
  // Generous: a slow machine is no failure. What must be quick says so itself.
  testTimeout: 600_000,
  hookTimeout: 600_000,
  expect: { poll: { timeout: 60_000 } },
} as const;

// vitest.long.config.ts, vitest.faults.config.ts and vitest.cluster.config.ts run these.
const elsewhere = ['test/long/**', 'test/faults/!(dozen).test.ts', 'test/cluster/**'];
/**
 * What needs a process of its own: it starts programs, loads TensorFlow, takes memory from the process's pool, replaces
 * modules, or measures memory.
 */
const isolated = [
  'test/{faults,e2e,deploy}/**/*.test.ts',
  'test/worker/{model,tensorflow,collective}/**/*.test.ts',
  'test/**/*.isolated.test.ts',
];

export default defineConfig({
  test: {
    ...common,
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'isolated', include: isolated, exclude: elsewhere } },
      {
        extends: true,
        test: {
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: [...elsewhere, ...isolated],
          // Loading Rondo's modules anew for each file takes longer than most of the tests.
          isolate: false,
        },
      },
    ],
  },
});
