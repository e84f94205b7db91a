import type { LedgerLine, StepLine } from '../../coordinator/run-store/ledger.js';
import type { Summary } from '../../coordinator/run-store/summary.js';
import type { Cluster } from './harness/cluster.js';
import { waitFor } from './harness/commands.js';

/** Long enough for a machine that does other things too. */
const withinMs = 1_200_000;

/** One release of the chart, by kubectl: as a person looks at it. */
export function openRelease(cluster: Cluster, name: string, namespace: string) {
  const coordinator = `${name}-coordinator-0`;
  const runFolder = `/var/lib/rondo/runs/${name}`;
  const kubectl = (args: readonly string[], input?: string) =>
    cluster.kubectl(['--namespace', namespace, ...args], input);
  const inCoordinator = (...command: string[]) => kubectl(['exec', coordinator, '--', ...command]);
  const readFile = (file: string) => inCoordinator('cat', `${runFolder}/${file}`);

  /** Those that count after all rollbacks. */
  async function committedSteps(): Promise<StepLine[]> {
    const steps: StepLine[] = [];
    for (const text of (await readFile('ledger.jsonl')).split('\n').filter((line) => line !== '')) {
      const line = JSON.parse(text) as LedgerLine;
      if (line.kind === 'step') steps.push(line);
      if (line.kind === 'rollback') steps.length = line.toStep;
    }
    return steps;
  }

  return {
    ...{ coordinator, kubectl, inCoordinator, committedSteps },

    async workerPods(): Promise<{ name: string; uid: string; phase: string; ending: boolean }[]> {
      const selector = `app.kubernetes.io/instance=${name},app.kubernetes.io/component=worker`;
      const { items } = JSON.parse(await kubectl(['get', 'pods', '-l', selector, '-o', 'json'])) as {
        items: {
          metadata: { name: string; uid: string; deletionTimestamp?: string };
          status: { phase: string };
        }[];
      };
      return items.map(({ metadata, status }) => ({
        ...{ name: metadata.name, uid: metadata.uid, phase: status.phase },
        ending: metadata.deletionTimestamp !== undefined,
      }));
    },

    /** What workers bought their certificates with: their pods' UIDs. */
    async boughtCertificates(): Promise<string[]> {
      const lines = (await readFile('identity/issued.jsonl')).split('\n').filter((line) => line !== '');
      return lines.map((line) => (JSON.parse(line) as { tokenId: string }).tokenId);
    },

    /** Waits until `more` steps have been committed by so many workers after now; gives how many there are then. */
    async trainsOn(worldSize: number, more = 2): Promise<number> {
      const before = (await waitFor('the ledger', committedSteps, { withinMs })).length;
      return waitFor(
        `${more} more steps of ${worldSize} workers`,
        async () => {
          const steps = await committedSteps();
          const those = steps.slice(before).filter(({ shares }) => shares.length === worldSize);
          return those.length >= more && steps.length;
        },
        { withinMs },
      );
    },

    /** Waits until the run's summary is there. */
    ended(): Promise<Summary> {
      return waitFor(
        'the end of the run',
        async () => JSON.parse(await readFile('summary.json')) as Summary,
        {
          withinMs,
          everyMs: 2_000,
        },
      );
    },

    async stateDigest(epoch: number): Promise<string> {
      const folder = `checkpoints/epoch-${String(epoch).padStart(4, '0')}`;
      return (JSON.parse(await readFile(`${folder}/checkpoint.json`)) as { stateDigest: string }).stateDigest;
    },
  };
}
