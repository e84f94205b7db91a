import { type RunAccess, reachableAddress } from '../cluster/run-access.js';
import { writeReach } from '../run-store/join-tokens.js';
import { writeTokenFile } from '../run-store/run-directory.js';
import type { RunEvent } from '../telemetry/run-events.js';

const insecureText =
  'INSECURE: nothing is encrypted, and whoever sees the traffic can read the images, take part and end the run (--insecure)';

/** What others must know to join a run, and how many may. */
export interface Announcement {
  /** HOST:PORT that the run listens at. */
  readonly bound: string;
  /** HOST:PORT by which others reach it, when that is elsewhere. */
  readonly advertise?: string | null | undefined;
  readonly access: RunAccess;
  /** Folder of the run's authority and tokens. */
  readonly identity: string;
  /** Receives the run's token, where others join by it. */
  readonly tokenFile: string;
  readonly insecure?: boolean | undefined;
  readonly workers: number;
  readonly localWorkers: number;
  readonly maxWorkers: number;
}

/** Says how workers join that this machine does not start, and writes it where they find it. */
export async function announce(o: Announcement, report: (event: RunEvent) => void): Promise<void> {
  const { access, workers, localWorkers, insecure = false } = o;
  const { runToken, joining } = access;
  const isOpen = localWorkers < o.maxWorkers;
  const tokenFile = isOpen && runToken !== null ? o.tokenFile : null;
  const address = reachableAddress(o.bound, o.advertise ?? null);
  if (access.authority !== null) {
    await writeReach(o.identity, { address, hash: access.authority.hash, joins: joining !== null });
  }
  if (tokenFile !== null) writeTokenFile(tokenFile, runToken!);
  if (insecure) report({ kind: 'warning', text: insecureText });
  report({
    kind: 'waiting',
    ...{ address, tokenFile, insecure, workers, localWorkers },
    joining: isOpen ? joining : null,
    ...(access.authority !== null && joining === null ? { tls: true } : {}),
  });
}
