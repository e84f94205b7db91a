import { expect } from 'vitest';
import { type Operators, openOperators } from '../../coordinator/cluster/operators.js';
import { tokensFolder } from '../../coordinator/run-store/join-tokens.js';
import { openLog } from '../../runtime/log.js';
import { type CertifiedRun, closeCertifiedRuns, openCertifiedRun } from './certified-run.js';
import { type ClusterFixture, destroyFixtures, openFixture } from './cluster-fixture.js';

export interface CertifiedCluster {
  readonly run: CertifiedRun;
  readonly operators: Operators;
  readonly fixture: ClusterFixture;
  /** Refusals, a line each. */
  readonly logged: Record<string, unknown>[];
}

const closing: (() => void)[] = [];

/** Calls these with `closeCertifiedClusters`, unless `closeNow` does before. */
export function closeLater(...closes: readonly (() => void)[]): void {
  closing.push(...closes);
}

/** Closes what is to be closed later. */
export function closeNow(): void {
  for (const close of closing.splice(0)) close();
}

/** A cluster of two workers with certificates. */
export async function openCertifiedCluster(): Promise<CertifiedCluster> {
  const logged: Record<string, unknown>[] = [];
  openLog({
    program: 'test',
    environment: { RONDO_LOG: 'warn' },
    write: (text) => void logged.push(JSON.parse(text) as Record<string, unknown>),
  });
  const run = await openCertifiedRun();
  const { authority } = run;
  const operators = openOperators(tokensFolder(run.folder));
  const access = { credentials: authority.credentials, authority, operators };
  return { run, operators, logged, fixture: await openFixture(2, {}, { ...access, silenceMs: 10_000 }) };
}

/** Begins the run of such a cluster with one worker; it ends as it should once another joins, after `attack`. */
export async function expectToEnd(
  { run, fixture }: Pick<CertifiedCluster, 'run' | 'fixture'>,
  attack: () => Promise<void>,
): Promise<void> {
  const result = fixture.cluster.run({ step: 0, source: 'fresh' });
  fixture.join('worker-0', { credentials: await run.credentialsOf('worker-0') });
  await attack();
  fixture.join('worker-1', { credentials: await run.credentialsOf('worker-1') });
  await expect(result).resolves.toMatchObject({ step: 6, stopped: false });
  expect(fixture.losses).toEqual([]);
}

/** For afterEach. */
export function closeCertifiedClusters(): void {
  closeNow();
  destroyFixtures();
  closeCertifiedRuns();
  openLog({ program: 'test', environment: {}, write() {} });
}
