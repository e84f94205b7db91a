import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export type Verdict = 'equal' | '**FAILED**';

/** What became of each fault in each phase, as a page. */
export interface FaultTable {
  /** There is such a cell, whether it is tried this time or not. */
  declare(fault: string, phase: string): void;
  note(fault: string, phase: string, verdict: Verdict): void;
  /** Writes the page. Cells that were not tried this time keep what they said. */
  write(): void;
}

const page = fileURLToPath(new URL('../../docs/faults.md', import.meta.url));
const untried = 'not run';

export function openFaultTable(phases: readonly string[]): FaultTable {
  const cells = new Map<string, Map<string, string>>();
  const put = (fault: string, phase: string, text: string) => {
    const row = cells.get(fault) ?? new Map<string, string>();
    cells.set(fault, row.set(phase, text));
  };
  const before = readPage(phases);
  return {
    declare: (fault, phase) => put(fault, phase, before.get(fault)?.get(phase) || untried),
    note: put,
    write() {
      const rows = [...cells].map(([fault, row]) => [fault, ...phases.map((phase) => row.get(phase) ?? '')]);
      const lines = [['fault', ...phases], ['fault', ...phases].map(() => '---'), ...rows];
      writeFileSync(page, `${head}\n${lines.map((line) => `| ${line.join(' | ')} |`).join('\n')}\n`);
    },
  };
}

function readPage(phases: readonly string[]): Map<string, Map<string, string>> {
  const lines = existsSync(page) ? readFileSync(page, 'utf8').split('\n') : [];
  const rows = lines.filter((line) => line.startsWith('| ')).slice(2);
  return new Map(
    rows.map((line) => {
      const [fault, ...texts] = line.slice(2, -2).split(' | ');
      return [fault!, new Map(phases.map((phase, index) => [phase, texts[index] ?? '']))];
    }),
  );
}

const head = `# Faults

\`npm run test:faults\` writes this page; with \`-t FAULT\` it tries some of the cells, and the others keep what
they say. Each cell is a run of two workers, as real processes, that is disturbed once, in the phase above: the
first column says how. *equal* means that the run finished; that its ledger shows each sample exactly once in
every epoch; that its state has the SHA-256 of the run that nobody disturbed; that nothing hung; and that no
process and no file in shared memory was left. An empty cell makes no sense.
`;
