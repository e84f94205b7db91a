import { connect as connectPlainly } from 'node:net';
import { Metadata } from '@grpc/grpc-js';
import { type Certificate, EnrolmentClient } from '../../proto/gen/coordinator.js';
import { sleep } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import { anonymousProof } from '../../runtime/grpc/certificate-credentials.js';
import { openChannel } from '../../runtime/grpc/channel.js';
import { findAuthority, hostOf } from '../../runtime/grpc/find-authority.js';
import { openCredentials, type RenewableCredentials } from '../../runtime/grpc/open-credentials.js';
import { parseHostPort } from '../../runtime/host-port.js';
import { coordinatorName } from '../../runtime/member-name.js';
import type { JoinProof } from './join-proof.js';

const retryMs = 500;
const enrolMs = 10_000;
const maxReceiveBytes = 64 << 10;

/** How a worker is known in its run. */
export interface Enrolled {
  readonly credentials: RenewableCredentials;
  /** The address by which this machine reaches the coordinator: others are likely to reach it there too. */
  readonly localHost: string;
  /** Of its certificate; null where it has none, or somebody else renews it. */
  readonly lifetimeMs: number | null;
}

/**
 * Gets the worker what it needs to take part: a certificate, for a key that does not leave this process, where
 * there are certificates.
 *
 * @param o.timeoutMs how long the coordinator may take to answer.
 * @throws RondoError unauthenticated when who answers there is not the coordinator that the hash names (the
 *   token is not sent then), or does not take the token; unavailable when nobody answers.
 */
export async function enrol(
  coordinator: string,
  o: {
    readonly proof: JoinProof;
    readonly workerId: string;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  },
): Promise<Enrolled> {
  const { proof, workerId } = o;
  if (proof.kind === 'run-token') {
    const { token, insecure } = proof;
    const credentials = openCredentials({ kind: 'token', token, insecure });
    return { credentials, localHost: await findLocalHost(coordinator, o), lifetimeMs: null };
  }
  if (proof.kind === 'own-certificate') {
    const credentials = openCredentials(proof.own.identity);
    return { credentials, localHost: await findLocalHost(coordinator, o), lifetimeMs: null };
  }
  const { authority, localHost } = await patiently(coordinator, o, () =>
    findAuthority(coordinator, proof.hashes),
  );
  const { createRequest } = await import('../../runtime/certificates.js');
  const { key, request } = await createRequest();
  const channel = (peer: string) => anonymousProof(authority, peer);
  const client = openChannel(EnrolmentClient, coordinator, {
    ...{ credentials: { channel }, peer: coordinatorName, maxReceiveBytes },
  });
  try {
    const { certificate, lifetimeSeconds } = await new Promise<Certificate>((resolve, reject) => {
      const question = { token: proof.token, workerId, signingRequest: request };
      client.enrol(question, new Metadata(), { deadline: Date.now() + enrolMs }, (error, answer) =>
        error ? reject(RondoError.from(error)) : resolve(answer),
      );
    });
    const credentials = openCredentials({ kind: 'certificate', authority, certificate, key });
    return { credentials, localHost, lifetimeMs: lifetimeSeconds * 1_000 };
  } finally {
    client.close();
  }
}

async function findLocalHost(
  coordinator: string,
  o: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<string> {
  return patiently(
    coordinator,
    o,
    () =>
      new Promise((resolve, reject) => {
        const socket = connectPlainly(parseHostPort(coordinator), () => {
          resolve(hostOf(socket.localAddress));
          socket.destroy();
        });
        socket.on('error', (cause) =>
          reject(new RondoError('unavailable', `no coordinator answers at ${coordinator}`, { cause })),
        );
      }),
  );
}

/** Tries again while nobody answers: the coordinator may be about to start. */
async function patiently<T>(
  coordinator: string,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
  attempt: () => Promise<T>,
): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (thrown) {
      const error = RondoError.from(thrown);
      if (error.code !== 'unavailable') throw error;
      if (performance.now() + retryMs > endMs) {
        throw new RondoError('unavailable', error.message, {
          remedy: `check the address ${coordinator}, and that the coordinator is running and reached from here`,
          cause: error,
        });
      }
    }
    await sleep(retryMs, signal);
  }
}
