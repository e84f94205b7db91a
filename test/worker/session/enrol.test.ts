import { X509Certificate } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { closeCertifiedClusters } from '../../support/certified-cluster.js';
import { type CertifiedRun, enrolAt, openCertifiedRun } from '../../support/certified-run.js';
import { openFixture } from '../../support/cluster-fixture.js';

afterEach(closeCertifiedClusters);

/** A run whose authority's certificate fills its last line of base64, 64 letters, as one in sixteen does. */
async function openRunOfWholeLines(): Promise<CertifiedRun> {
  for (let length = 1; length <= 96; length += 1) {
    const run = await openCertifiedRun(60_000, 'r'.repeat(length));
    if (new X509Certificate(run.authorityPem).raw.toString('base64').length % 64 === 0) return run;
  }
  throw new Error('no certificate had whole lines');
}

it('trusts an authority whose certificate fills its last line', async () => {
  const run = await openRunOfWholeLines();
  const { authority } = run;
  const { cluster } = await openFixture(1, {}, { credentials: authority.credentials, authority });
  const { credentials } = await enrolAt(cluster.address, await run.createToken(), authority.hash);
  expect(credentials.identity).toMatchObject({ kind: 'certificate', authority: run.authorityPem });
});
