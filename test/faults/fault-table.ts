import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { writeDurablyAtOnce } from '../../runtime/durable-file.js';

export const phases = [
  ...['joining', 'compute', 'reduce-scatter', 'all-gather', 'apply', 'evaluate', 'checkpoint'],
] as const;
export type Phase = (typeof phases)[number];

const places = ['before', 'after'] as const;
export type Place = (typeof places)[number];

/** What each cell's row is called, and the columns in which there is a cell. */
interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: Readonly<Record<string, readonly string[]>>;
}

/** By phase of the run; the page says why some phases have no cell. */
export const faults = {
  'a worker is killed (SIGKILL)': phases,
  'a worker is stopped, and goes on 5 s later (SIGSTOP, SIGCONT; silence limit 3 s)': phases,
  'a worker is stopped, and goes on 2 s later, before the silence limit': ['compute'],
  'a worker is stopped, and goes on 30 s later; the run waits for it': ['compute'],
  'a worker that joins is killed (SIGKILL) while it copies the state': ['joining'],
  'the worker that another copies the state from is killed (SIGKILL)': ['joining'],
  'a worker is told to leave (SIGTERM)': phases,
  'the coordinator is killed (SIGKILL), and another takes its place': phases,
  'what a worker on another machine sends is lost for 6 s (partition, one way)': [
    ...['joining', 'compute', 'reduce-scatter', 'all-gather', 'evaluate', 'checkpoint'],
  ],
  'a worker on another machine is cut off for 6 s (partition, both ways)': [
    ...['joining', 'compute', 'reduce-scatter', 'all-gather', 'evaluate', 'checkpoint'],
  ],
  'every message of a ring is 40 ms late': ['all-gather'],
  'a worker has a fifth of a core': ['compute'],
  'nats-server is killed': ['joining', 'compute', 'evaluate', 'checkpoint'],
  "nats-server's store is wiped": ['joining', 'compute', 'evaluate', 'checkpoint'],
  "nats-server's disk is full": ['joining', 'compute'],
  'a stranger sends garbage, and more than a message may hold': [
    ...['joining', 'compute', 'evaluate', 'checkpoint'],
  ],
  'another worker comes with the id of one that is there': ['joining', 'compute', 'evaluate'],
  'a worker repeats its reports under an earlier generation': ['compute'],
  'a loss or gradient is not finite, and a worker is killed': ['compute'],
  'gradients overflow their grid, and a worker is killed': ['compute'],
  'the disk is full; the run is resumed when there is room': [
    ...['joining', 'compute', 'evaluate', 'checkpoint'],
  ],
  'the disk reports an error (fsync); the run is resumed': ['joining', 'checkpoint'],
  'a byte of the newest checkpoint is another, and the run is resumed': ['checkpoint'],
  'half of the newest checkpoint is missing, and the run is resumed': ['checkpoint'],
} as const satisfies Record<string, readonly Phase[]>;
export type Fault = keyof typeof faults;

/** What a coordinator writes for good, and that it is killed right before the disk has it, or right after. */
export const writes = {
  'run.json': places,
  'images.sha256': places,
  'coordinator.json: its metrics server': places,
  'coordinator.json: its address': places,
  'coordinator.json: a worker that it started': places,
  'coordinator.json: a generation': places,
  'ledger.jsonl': places,
  "a checkpoint's state": places,
  "a checkpoint's record": places,
  "a checkpoint's name": places,
  'summary.json': places,
  'identity/authority.pem': places,
  "a join token's record": places,
  'identity/reach.json': places,
  'initial.safetensors': places,
  'the name of a phase that has ended': places,
  'the name of the best epoch': places,
} as const satisfies Record<string, readonly Place[]>;
export type Write = keyof typeof writes;

export type Verdict = 'equal' | '**FAILED**';

const tables: readonly Table[] = [
  { title: 'fault', columns: phases, rows: faults },
  { title: 'the coordinator is killed (SIGKILL) at its write of', columns: places, rows: writes },
];
const page = fileURLToPath(new URL('../../docs/faults.md', import.meta.url));
const untried = 'not run';

/** Writes into the page what became of a cell; the others keep what they say. */
export function noteVerdict(row: Fault | Write, column: Phase | Place, verdict: Verdict): void {
  const before = existsSync(page) ? readCells(readFileSync(page, 'utf8')) : new Map<string, string>();
  before.set(nameCell(row, column), verdict);
  const text = tables.map((table) => `\n${renderTable(table, before)}\n`).join('');
  writeDurablyAtOnce(page, `${head}${text}`);
}

function nameCell(row: string, column: string): string {
  return `${row} | ${column}`;
}

/** What each cell of a page says, of whatever tables it has. */
function readCells(text: string): Map<string, string> {
  const cells = new Map<string, string>();
  let columns: readonly string[] = [];
  const lines = text.split('\n').map((line) => (line.startsWith('| ') ? line.slice(2, -2).split(' | ') : []));
  for (const [index, [first, ...texts]] of lines.entries()) {
    if (first === undefined || first === '---') continue;
    if (lines[index + 1]?.[0] === '---') columns = texts;
    else for (const [at, said] of texts.entries()) cells.set(nameCell(first, columns[at]!), said);
  }
  return cells;
}

function renderTable({ title, columns, rows }: Table, cells: ReadonlyMap<string, string>): string {
  const body = Object.entries(rows).map(([row, tried]) => [
    row,
    ...columns.map((column) => (tried.includes(column) ? cells.get(nameCell(row, column)) || untried : '')),
  ]);
  const lines = [[title, ...columns], ['', ...columns].map(() => '---'), ...body];
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}

const head = `# Faults

\`npm run test:faults\` writes this page, cell by cell; with \`-t FAULT\` it tries some of them, and the others keep
what they say. Each cell is a run of two workers, as real processes, that is disturbed once, in the phase above: the
first column says how. *equal* means that the run finished; that its ledger shows each sample exactly once in
every epoch; that its state has the SHA-256 of the run that nobody disturbed; that nothing hung; and that no
process and no file in shared memory was left. \`npm test\` tries a dozen, four in each of three runs.

A cell is empty where it would try nothing that others do not:

- Links matter only where workers talk: one that is cut off while it applies a step is noticed in the next one.
- What lasts stands in one column and is there in all that follow: a slow link, a fifth of a core, repeated reports of an
  earlier generation, a full disk of nats-server (from the start, or filled by the metrics of some steps).
- Whoever comes with an id that is taken is refused at once, whatever the others do.
- Copying is part of joining. Losses and gradients are computed in one phase.
- Of the coordinator's writes, those of its own state come while workers join, those of the ledger and of checkpoints
  when an epoch ends: then an error of the disk shows, and a checkpoint can be damaged.
`;
