import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

export type Verdict = 'passed' | 'failed';

/** What became of each fault in each phase, as a page. */
export interface FaultTable {
  note(fault: string, phase: string, verdict: Verdict): void;
  /** Writes the page; not when only some of the cells were tried. */
  write(cells: number): void;
}

const page = fileURLToPath(new URL('../../docs/faults.md', import.meta.url));

export function openFaultTable(phases: readonly string[]): FaultTable {
  const rows = new Map<string, Map<string, Verdict>>();
  return {
    note(fault, phase, verdict) {
      const row = rows.get(fault) ?? new Map<string, Verdict>();
      rows.set(fault, row.set(phase, verdict));
    },
    write(cells) {
      const tried = [...rows.values()].reduce((sum, row) => sum + row.size, 0);
      if (tried < cells) return;
      const mark = (verdict: Verdict | undefined) =>
        verdict === undefined ? '' : verdict === 'passed' ? 'equal' : '**FAILED**';
      const lines = [
        `| fault | ${phases.join(' | ')} |`,
        `|---|${phases.map(() => '---').join('|')}|`,
        ...[...rows].map(
          ([fault, row]) => `| ${fault} | ${phases.map((phase) => mark(row.get(phase))).join(' | ')} |`,
        ),
      ];
      writeFileSync(page, `${head}\n${lines.join('\n')}\n\n${foot()}`);
    },
  };
}

const head = `# Faults

\`npm run test:faults\` writes this page. Each cell is a run of two workers, as real processes, that is disturbed
once, in the phase above: the first column says how. *equal* means that the run finished; that its ledger shows
each sample exactly once in every epoch; that its state has the SHA-256 of the run that nobody disturbed; that
nothing hung; and that no process and no file in shared memory was left.
`;

function foot(): string {
  const processor = cpus()[0]?.model ?? 'unknown';
  return `Written on ${cpus().length} cores of ${processor}, Node ${process.versions.node}.\n`;
}
