import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Metadata, type ServiceDefinition, status } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type RunControl, serveControl } from '../../../coordinator/cluster/control.js';
import { RondoError } from '../../../runtime/errors.js';
import { createRunToken, tokenCredentials } from '../../../runtime/grpc/credentials.js';
import { destroyFixtures, openFixture } from '../../support/cluster-fixture.js';
import { testToken } from '../../support/credentials.js';
import { openLinks, startPeers, stopPeers } from '../../support/grpc-peers.js';
import { callRaw, metadataOf } from './raw-call.js';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
  destroyFixtures();
  stopPeers();
});

/** Every service that proto/ declares, and gRPC's own that we serve. */
async function allServices(): Promise<{ name: string; definition: ServiceDefinition }[]> {
  const folder = new URL('../../../proto/gen/', import.meta.url);
  const found = new Map<string, ServiceDefinition>([['grpc.health.v1.Health', healthService]]);
  for (const file of readdirSync(fileURLToPath(folder)).filter((name) => name.endsWith('.ts'))) {
    const exported = (await import(new URL(file, folder).href)) as Record<string, unknown>;
    for (const [key, value] of Object.entries(exported)) {
      if (!key.endsWith('Service')) continue;
      const definition = value as ServiceDefinition;
      const [method] = Object.values(definition);
      found.set(method!.path.split('/')[1]!, definition);
    }
  }
  return [...found].map(([name, definition]) => ({ name, definition }));
}

const wrongMetadata: [string, () => Metadata][] = [
  ['no token', () => new Metadata()],
  ['an empty token', () => metadataOf('')],
  ['another run’s token', () => metadataOf(createRunToken())],
  ['the token and a letter', () => metadataOf(`${testToken}x`)],
  ['a token cut short', () => metadataOf(testToken.slice(0, -1))],
  ['a wrong token and the right one', () => metadataOf('a-wrong-token', testToken)],
];

/** What nobody reaches without the token. */
const refuseControl: RunControl = {
  status: () => expect.fail('nobody may ask'),
  scale: () => expect.fail('nobody may scale'),
  get log() {
    return expect.fail('nobody may read');
  },
};

describe('every RPC of every service', () => {
  it('is refused without the run’s token, and the run goes on meanwhile', async () => {
    const fixture = await openFixture(2);
    const peers = await startPeers(2);
    const links = await openLinks(peers, 1n);
    const control = await serveControl(refuseControl, testToken);
    const served: Record<string, string[]> = {
      'rondo.control.v1.Control': [control.address],
      'rondo.coordinator.v1.Coordinator': [fixture.cluster.address],
      'grpc.health.v1.Health': [fixture.cluster.address],
      // Where each member has a certificate: test/coordinator/cluster/enrolment.test.ts.
      'rondo.coordinator.v1.Enrolment': [],
      'rondo.peer.v1.Peer': peers.map(({ address }) => address),
    };
    let attacked = 0;
    const attack = async () => {
      for (const { name, definition } of await allServices()) {
        // A new service has to say here where it is served.
        expect(served, name).toHaveProperty([name]);
        for (const address of served[name]!) {
          for (const { path } of Object.values(definition)) {
            for (const [what, metadata] of wrongMetadata) {
              const error = await callRaw(address, path, metadata());
              expect(error, `${path} with ${what}`).toMatchObject({ code: status.UNAUTHENTICATED });
              expect(RondoError.from(error)).toMatchObject({
                code: 'unauthenticated',
                remedy: expect.stringContaining('--token-file'),
              });
              attacked += 1;
            }
          }
        }
      }
    };
    const result = fixture.cluster.run({ step: 0, source: 'fresh' });
    fixture.join('worker-0');
    await attack();
    // What was refused took nobody's place and left nothing behind.
    fixture.join('worker-1');
    await expect(result).resolves.toMatchObject({ step: 6, stopped: false });
    expect(fixture.losses).toEqual([]);
    await attack();
    expect(attacked).toBeGreaterThanOrEqual(2 * wrongMetadata.length * (4 + 2 + 2 * 2));
    for (const link of links) link.close();
    control.destroy();
  });

  it('is answered with it: otherwise the refusals above would prove nothing', async () => {
    const fixture = await openFixture(1);
    const [peer] = await startPeers(1);
    for (const [address, path] of [
      [fixture.cluster.address, '/rondo.coordinator.v1.Coordinator/FetchDataset'],
      [fixture.cluster.address, '/grpc.health.v1.Health/Check'],
      [peer!.address, '/rondo.peer.v1.Peer/CopyState'],
    ] as const) {
      expect(await callRaw(address, path, metadataOf(testToken))).toBe('answered');
    }
  });
});

describe('a token', () => {
  it.each([
    '',
    'short',
    'with a space in it, and long',
    'ends-with-a-newline\n',
    'ü'.repeat(20),
    'x'.repeat(300),
  ])('%j is refused without being repeated', (token) => {
    expect(() => tokenCredentials(token)).toThrow(RondoError);
    if (token !== '') expect(() => tokenCredentials(token)).not.toThrow(new RegExp(token.slice(0, 5)));
  });

  it('is new for every run, and one that is taken', () => {
    const tokens = Array.from({ length: 100 }, createRunToken);
    expect(new Set(tokens).size).toBe(100);
    for (const token of tokens) tokenCredentials(token);
  });
});
