import { expect } from 'vitest';
import { type Operators, openOperators } from '../../coordinator/cluster/operators.js';
import { tokensFolder } from '../../coordinator/run-store/join-tokens.js';
import { openLog } from '../../runtime/log.js';
import { type CertifiedRun, closeCertifiedRuns, openCertifiedRun } from './certified-run.js';
import { type ClusterFixture, destroyFixtures, openFixture } from './cluster-fixture.js';

/** A cluster of two workers with certificates. Refusals go to `logged`, a line each. */
export async function openCertifiedCluster(
  logged: (line: Record<string, unknown>) => void,
): Promise<{ run: CertifiedRun; operators: Operators; fixture: ClusterFixture }> {
  openLog({
    program: 'test',
    environment: { RONDO_LOG: 'warn' },
    write: (text) => logged(JSON.parse(text) as Record<string, unknown>),
  });
  const run = await openCertifiedRun();
  const { authority } = run;
  const operators = openOperators(tokensFolder(run.folder));
  const access = { credentials: authority.credentials, authority, operators };
  return { run, operators, fixture: await openFixture(2, {}, { ...access, silenceMs: 10_000 }) };
}

/** Begins the run of such a cluster with one worker; it ends as it should once another joins, after `attack`. */
export async function expectToEnd(
  { run, fixture }: { readonly run: CertifiedRun; readonly fixture: ClusterFixture },
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
  destroyFixtures();
  closeCertifiedRuns();
  openLog({ program: 'test', environment: {}, write() {} });
}
