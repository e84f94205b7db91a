import { X509Certificate } from 'node:crypto';
import { connect as connectPlainly } from 'node:net';
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { Metadata } from '@grpc/grpc-js';
import { type Certificate, EnrolmentClient } from '../../proto/gen/coordinator.js';
import { authorityHash } from '../../runtime/authority-hash.js';
import { sleep } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import { anonymousProof, tlsVersions } from '../../runtime/grpc/certificate-credentials.js';
import { openChannel } from '../../runtime/grpc/channel.js';
import { openCredentials, type RenewableCredentials } from '../../runtime/grpc/open-credentials.js';
import { parseHostPort } from '../../runtime/host-port.js';
import { coordinatorName } from '../../runtime/member-name.js';
import type { JoinProof } from './join-proof.js';

const retryMs = 500;
const handshakeMs = 5_000;
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

/**
 * The authority's certificate (PEM), as the coordinator shows it. That it is the one that people named is proved
 * by the hash of its key; that the coordinator has a certificate of it is proved by the next connection, which
 * trusts nothing else.
 */
async function findAuthority(
  coordinator: string,
  hashes: readonly string[],
): Promise<{ authority: string; localHost: string }> {
  const socket = await shakeHands(coordinator);
  try {
    const shown = chainOf(socket);
    const found = shown.find(({ raw }) => hashes.includes(authorityHash(raw)));
    if (found === undefined) {
      const theirs = shown.at(-1);
      throw new RondoError(
        'unauthenticated',
        `who answers at ${coordinator} is not the coordinator that --ca-hash names` +
          (theirs === undefined ? '' : `: its authority is ${authorityHash(theirs.raw)}`),
        {
          remedy:
            'paste the line that the coordinator printed when it was started last; the token was not sent',
        },
      );
    }
    return { authority: new X509Certificate(found.raw).toString(), localHost: hostOf(socket.localAddress) };
  } finally {
    // Not cut off: the handshake may not have reached the other end yet.
    socket.end();
  }
}

function shakeHands(coordinator: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{
        ...parseHostPort(coordinator),
        ...tlsVersions,
        servername: coordinatorName,
        ALPNProtocols: ['h2'],
      },
      // Nothing is trusted yet: the certificates are looked at, and nothing is sent.
      rejectUnauthorized: false,
      timeout: handshakeMs,
    });
    const fail = (why: string, cause?: unknown) => {
      socket.destroy();
      reject(new RondoError('unavailable', `no coordinator answers at ${coordinator}: ${why}`, { cause }));
    };
    socket.once('secureConnect', () => resolve(socket));
    socket.once('timeout', () => fail('it is silent'));
    socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message, error));
    socket.once('close', () => fail('it hung up'));
  });
}

/** From the coordinator's own certificate up to its authority's. */
function chainOf(socket: TLSSocket): DetailedPeerCertificate[] {
  const chain: DetailedPeerCertificate[] = [];
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && !chain.some(({ raw }) => raw.equals(next!.raw))) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
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

/** Of a socket that takes IPv4 and IPv6, an IPv4 address comes as ::ffff:10.0.0.1. */
function hostOf(address: string | undefined): string {
  return (address ?? '127.0.0.1').replace(/^::ffff:/, '');
}
