import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { findDepartures, namedModules } from './arrows.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const rooms = ['plan', 'proto', 'runtime', 'coordinator', 'worker', 'bench'];

function readTree(): Map<string, string> {
  const files = rooms.flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  return new Map(
    files.map((file) => [relative(root, file).split(sep).join('/'), readFileSync(file, 'utf8')]),
  );
}

describe('the source tree', () => {
  it('keeps to the drawing of the house', () => {
    const tree = readTree();
    expect(tree.size).toBeGreaterThan(20);
    expect(findDepartures(tree)).toEqual([]);
  });

  it('imports no package that package.json does not name', () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const used = [...readTree().values()].flatMap(namedModules).filter((name) => !/^(?:\.|node:)/.test(name));
    const packages = new Set(used.map((name) => name.match(/^(?:@[^/]+\/)?[^/]+/)?.[0]));
    expect(packages.size).toBeGreaterThan(3);
    expect([...packages].filter((name) => !(name! in dependencies))).toEqual([]);
  });
});

describe('namedModules', () => {
  it('finds every form of an import and nothing else', () => {
    const text = [
      "import { a,\n  type B as C } from './several-lines.js';",
      "import type { D } from './type.js';",
      "import * as e from './star.js';",
      "import './effect.js';",
      "export { f } from './again.js';",
      "export * from './all.js';",
      "const g = await import('./dynamic.js');",
      "spawn(fileURLToPath(new URL('./program.js', import.meta.url)));",
      " * import { h } from './comment.js'",
      "export const i = words(j, 'text from a string');",
    ];
    expect(namedModules(text.join('\n')).sort()).toEqual([
      './again.js',
      './all.js',
      './dynamic.js',
      './effect.js',
      './several-lines.js',
      './star.js',
      './type.js',
    ]);
  });
});

describe('findDepartures', () => {
  const code = 'export const value = 1;\n';
  const importing = (name: string) => `import { value } from '${name}';\nexport const own = value;\n`;
  const cases: [what: string, tree: Record<string, string>, departures: string[]][] = [
    ['a program on the plan', { 'coordinator/a.ts': importing('../plan/b.js'), 'plan/b.ts': code }, []],
    [
      'a program on the other',
      { 'coordinator/a.ts': importing('../worker/b.js'), 'worker/b.ts': code },
      ['coordinator/a.ts must not import worker/b.ts'],
    ],
    [
      'the plan on a program',
      { 'plan/a.ts': importing('../coordinator/b.js'), 'coordinator/b.ts': code },
      ['plan/a.ts must not import coordinator/b.ts'],
    ],
    [
      'the plan on the protocol',
      { 'plan/a.ts': importing('../proto/gen/b.js'), 'proto/gen/b.ts': code },
      ['plan/a.ts must not import proto/gen/b.ts'],
    ],
    ['benchmarks on anything', { 'bench/a.ts': importing('../worker/b.js'), 'worker/b.ts': code }, []],
    [
      'a program on the benchmarks',
      { 'worker/a.ts': importing('../bench/b.js'), 'bench/b.ts': code },
      ['worker/a.ts must not import bench/b.ts'],
    ],
    [
      'training on the model',
      { 'worker/training/a.ts': importing('../model/b.js'), 'worker/model/b.ts': code },
      [],
    ],
    [
      'the model on training',
      { 'worker/model/a.ts': importing('../training/b.js'), 'worker/training/b.ts': code },
      ['worker/model/a.ts must not import worker/training/b.ts'],
    ],
    [
      'the model on the data',
      { 'worker/model/a.ts': importing('../data/b.js'), 'worker/data/b.ts': code },
      ['worker/model/a.ts must not import worker/data/b.ts'],
    ],
    [
      'the model on tensorflow',
      { 'worker/model/deep/a.ts': importing('../../tensorflow/b.js'), 'worker/tensorflow/b.ts': code },
      [],
    ],
    [
      'training on tensorflow',
      { 'worker/training/a.ts': importing('../tensorflow/b.js'), 'worker/tensorflow/b.ts': code },
      ['worker/training/a.ts must not import worker/tensorflow/b.ts'],
    ],
    [
      'anything on main',
      { 'worker/session/a.ts': importing('../main.js'), 'worker/main.ts': code },
      ['worker/session/a.ts must not import worker/main.ts'],
    ],
    [
      'the cluster on membership',
      { 'coordinator/cluster/a.ts': importing('../membership/b.js'), 'coordinator/membership/b.ts': code },
      [],
    ],
    [
      'membership on the cluster',
      { 'coordinator/membership/a.ts': importing('../cluster/b.js'), 'coordinator/cluster/b.ts': code },
      ['coordinator/membership/a.ts must not import coordinator/cluster/b.ts'],
    ],
    [
      'a run on its report',
      { 'coordinator/run/a.ts': importing('../report/b.js'), 'coordinator/report/b.ts': code },
      ['coordinator/run/a.ts must not import coordinator/report/b.ts'],
    ],
    [
      'the report on a run',
      { 'coordinator/report/deep/a.ts': importing('../../run/b.js'), 'coordinator/run/b.ts': code },
      ['coordinator/report/deep/a.ts must not import coordinator/run/b.ts'],
    ],
    [
      'a session on the jobs',
      { 'worker/session/a.ts': importing('../jobs/b.js'), 'worker/jobs/b.ts': code },
      ['worker/session/a.ts must not import worker/jobs/b.ts'],
    ],
    [
      'a room outside the order',
      { 'coordinator/attic/a.ts': code },
      ['coordinator/attic/ has no place in the order of rooms'],
    ],
    [
      'a file that is not there',
      { 'plan/a.ts': importing('./b.js') },
      ['plan/a.ts imports plan/b.ts, which is not there'],
    ],
    [
      'a circle of three',
      {
        'plan/a.ts': importing('./b.js'),
        'plan/b.ts': importing('./c.js'),
        'plan/c.ts': importing('./a.js'),
      },
      ['a circle of imports: plan/a.ts → plan/b.ts → plan/c.ts → plan/a.ts'],
    ],
    [
      'the package in another file',
      { 'worker/model/a.ts': importing('@tensorflow/tfjs') },
      ['worker/model/a.ts names @tensorflow/…, which only worker/tensorflow/binding.ts does'],
    ],
    ['the package in the binding', { 'worker/tensorflow/binding.ts': importing('@tensorflow/tfjs') }, []],
    [
      'a barrel',
      {
        'plan/a.ts': "// both\nexport * from './b.js';\nexport { value } from './b.js';\n",
        'plan/b.ts': code,
      },
      ['plan/a.ts only re-exports'],
    ],
    [
      'a barrel by import and export',
      { 'plan/a.ts': "import { value } from './b.js';\n\nexport { value };\n", 'plan/b.ts': code },
      ['plan/a.ts only re-exports'],
    ],
    [
      'a long file',
      { 'plan/a.ts': code.repeat(251), 'plan/b.ts': code.repeat(250) },
      ['plan/a.ts has 251 lines, more than 250'],
    ],
    ['a long generated file', { 'proto/gen/a.ts': code.repeat(251) }, []],
  ];

  it.each(cases)('%s', (_, tree, departures) => {
    expect(findDepartures(new Map(Object.entries(tree)))).toEqual(departures);
  });
});
