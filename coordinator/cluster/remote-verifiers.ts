import { once } from 'node:events';
import path from 'node:path';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type {
  CoordinatorServer,
  ImageToVerify,
  ImageVerdict,
  VerifierMessage,
} from '../../proto/gen/coordinator.js';
import { createDeferred, type Deferred } from '../../runtime/deferred.js';
import { RondoError } from '../../runtime/errors.js';
import { failCall } from '../../runtime/grpc/server.js';
import { decoderVersion } from '../../runtime/images.js';
import { createLimiter, createWeightedLimiter } from '../../runtime/limiter.js';
import { parseValue } from '../../runtime/parse-json.js';
import { findingSchema, readUnverified, type Verdict } from '../../runtime/verification/verify-image.js';
import type { ImageFile } from '../dataset/image-files.js';
import type { FolderVerifier, VerificationHelpers } from '../dataset/verify.js';
import { listen } from './listen.js';
import type { RunAccess } from './run-access.js';

const notYet = new RondoError('unavailable', 'the data set is not known yet: the run has not begun');

type Call = ServerDuplexStream<VerifierMessage, ImageToVerify>;

const pieceBytes = 1 << 20;
/** Of files whose bytes a worker is sent, at a time. */
const bytesInHand = 64 << 20;
/** More than a machine has use for. */
const mostAtOnce = 1_024;

/** Workers that wait for a run to begin, and look at its images meanwhile. */
export interface RemoteVerifiers extends VerificationHelpers {
  readonly handler: CoordinatorServer['verifyImages'];
  /** Nothing is left to look at: all calls end, and so does each that comes. */
  close(): void;
}

/** They join at the address that the run's workers will join at, by what those join with. */
export interface VerifierServer extends VerificationHelpers {
  /** HOST:PORT. */
  readonly address: string;
  /** Ends the calls, and frees the address. Safe to call twice. */
  close(graceMs: number): Promise<void>;
  destroy(): void;
}

/**
 * Serves workers before there is a data set: nothing but `VerifyImages`.
 *
 * @throws RondoError as `listen` does.
 */
export async function serveVerifiers(o: {
  readonly listen: string;
  readonly access: Pick<RunAccess, 'credentials' | 'authority' | 'operators'>;
  readonly version: string;
}): Promise<VerifierServer> {
  const verifiers = createRemoteVerifiers(o.version);
  const refuse = (call: Parameters<typeof failCall>[0]) => failCall(call, notYet);
  const service = {
    ...{ session: refuse, fetchDataset: refuse, fetchPretrained: refuse },
    ...{ fetchCheckpoint: refuse, fetchSamples: refuse, verifyImages: verifiers.handler },
  };
  const server = await listen({ listen: o.listen, ...o.access }, service);
  return {
    address: server.address,
    attend: verifiers.attend,
    close(graceMs) {
      verifiers.close();
      return server.close(graceMs);
    },
    destroy: server.destroy,
  };
}

/** @param version of Rondo: workers of another are not asked. */
export function createRemoteVerifiers(version: string): RemoteVerifiers {
  const calls = new Map<Call, FolderVerifier | null>();
  const listeners = new Set<(helper: FolderVerifier) => void>();
  let isClosed = false;
  return {
    handler(call) {
      if (isClosed) return void call.end();
      const verdicts = createVerdicts();
      const lose = (reason: string) => {
        calls.delete(call);
        verdicts.lose(new RondoError('unavailable', reason));
      };
      call.on('cancelled', () => lose('its connection broke'));
      call.on('error', ({ message }) => lose(`its connection broke (${message})`));
      call.on('end', () => {
        lose('it ended the call');
        call.end();
      });
      call.on('data', ({ message }: VerifierMessage) => {
        if (message?.$case === 'verdict') return verdicts.hear(message.value);
        if (message?.$case !== 'verifier' || calls.has(call)) return;
        const { width, ...theirs } = message.value;
        // Its session will say that it is of another version; until there is one it waits.
        const isAlike = theirs.version === version && theirs.decoder === decoderVersion;
        const helper = openHelper(call, verdicts, Math.min(Math.max(1, width), mostAtOnce));
        calls.set(call, isAlike ? helper : null);
        if (isAlike) for (const onHelper of listeners) onHelper(helper);
      });
    },
    async attend(onHelper) {
      listeners.add(onHelper);
      for (const helper of calls.values()) if (helper !== null) onHelper(helper);
      return () => void listeners.delete(onHelper);
    },
    close() {
      isClosed = true;
      for (const call of calls.keys()) call.end();
      calls.clear();
    },
  };
}

/** Verdicts that are waited for, by the id of what was asked. */
interface Verdicts {
  await(id: number): Promise<ImageVerdict>;
  hear(verdict: ImageVerdict): void;
  lose(error: RondoError): void;
}

function createVerdicts(): Verdicts {
  const awaited = new Map<number, Deferred<ImageVerdict>>();
  let lost: RondoError | null = null;
  return {
    await(id) {
      if (lost !== null) return Promise.reject(lost);
      const verdict = createDeferred<ImageVerdict>();
      awaited.set(id, verdict);
      return verdict.promise;
    },
    hear(verdict) {
      awaited.get(verdict.id)?.resolve(verdict);
      awaited.delete(verdict.id);
    },
    lose(error) {
      lost ??= error;
      for (const { reject } of awaited.values()) reject(lost);
      awaited.clear();
    },
  };
}

function openHelper(call: Call, verdicts: Verdicts, width: number): FolderVerifier {
  const sending = createLimiter(1);
  const room = createWeightedLimiter(bytesInHand);
  const ended = new AbortController();
  call.once('close', () => ended.abort());
  let nextId = 0;
  /** Until it says that a file is not there: then all are sent. */
  let mayHaveFolder = true;

  const send = async (message: ImageToVerify) => {
    if (!call.write(message)) await once(call, 'drain', { signal: ended.signal });
  };
  const ask = async (root: string, file: ImageFile, bytes?: Buffer): Promise<ImageVerdict> => {
    const id = nextId;
    nextId += 1;
    const verdict = verdicts.await(id);
    verdict.catch(() => {});
    const { path: name, size, stamp } = file;
    const head = { id, root, path: name, size: BigInt(size), stamp };
    await sending(async () => {
      if (bytes === undefined) return send({ ...head, data: Buffer.alloc(0), last: false });
      let start = 0;
      do {
        const end = Math.min(start + pieceBytes, bytes.length);
        await send({ ...head, data: bytes.subarray(start, end), last: end === bytes.length });
        start = end;
      } while (start < bytes.length);
    });
    return verdict;
  };
  return {
    width,
    async verify(root, file) {
      if (mayHaveFolder) {
        const told = toVerdict(await ask(root, file));
        if (told !== null) return told;
        mayHaveFolder = false;
      }
      return room(file.size, async () => {
        const bytes = await readUnverified(path.join(root, file.path), ended);
        if (!Buffer.isBuffer(bytes)) return bytes;
        const told = toVerdict(await ask(root, file, bytes));
        if (told === null) throw new RondoError('aborted', 'a worker lost what it was sent');
        return told;
      });
    },
  };
}

/**
 * Null where the bytes are to be sent.
 *
 * @throws RondoError for what is no verdict.
 */
function toVerdict({ finding, lasting }: ImageVerdict): Verdict | null {
  if (finding === undefined || finding.$case === 'absent') return null;
  const found =
    finding.$case === 'unusable'
      ? { usable: false, reason: finding.value }
      : { ...finding.value, usable: true, digest: Buffer.from(finding.value.digest).toString('hex') };
  return { finding: parseValue(findingSchema, found, { name: 'a verdict of a worker' }), lasting };
}
