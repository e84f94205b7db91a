import { stat } from 'node:fs/promises';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { deadlinesOf, defaultSilenceMs } from '../../plan/deadlines.js';
import {
  CoordinatorClient,
  type ImageToVerify,
  type ImageVerdict,
  type VerifierMessage,
} from '../../proto/gen/coordinator.js';
import { sleep } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import { stampOf } from '../../runtime/file-stamp.js';
import { openChannel } from '../../runtime/grpc/channel.js';
import type { RunCredentials } from '../../runtime/grpc/credentials.js';
import { decoderVersion } from '../../runtime/images.js';
import { version } from '../../runtime/installation.js';
import { log } from '../../runtime/log.js';
import { coordinatorName } from '../../runtime/member-name.js';
import { openFolder } from '../../runtime/storage/folder.js';
import { openVerifiers, type Verifiers } from '../../runtime/verification/verifiers.js';
import type { Verdict } from '../../runtime/verification/verify-image.js';
import { connect, maxReceiveBytes } from './coordinator-session.js';

/** Images that are under way to this machine while others are decoded. */
const ahead = 2;

interface Options {
  /** Folder of the images on this machine, when it is not where the coordinator has them. */
  readonly dataRoot: string | null;
  readonly signal: AbortSignal;
}

/**
 * Looks at images while the coordinator indexes its data set, and returns when it is done with that, or when `signal`
 * aborts. Of files that are not here the coordinator sends the bytes. When the connection breaks, it waits for as long as
 * coordinators may be away.
 *
 * @throws RondoError unavailable when nobody answers.
 */
export async function verifyImages(address: string, credentials: RunCredentials, o: Options): Promise<void> {
  const verifiers = openVerifiers();
  const { connectMs, absenceMs, heartbeatMs } = deadlinesOf(defaultSilenceMs);
  let answerMs = connectMs;
  let futileFromMs = performance.now();
  try {
    for (let isOver = false; !isOver && !o.signal.aborted; answerMs = absenceMs) {
      const client = openChannel(CoordinatorClient, address, {
        ...{ credentials, maxReceiveBytes, peer: coordinatorName },
      });
      try {
        await connect(client, address, answerMs);
        const beganMs = performance.now();
        isOver = await serve(client.verifyImages(), verifiers, o);
        const brokeMs = performance.now();
        if (brokeMs - beganMs > heartbeatMs) futileFromMs = brokeMs;
        // What keeps it from being asked at all the session will say.
        isOver ||= brokeMs - futileFromMs > absenceMs;
      } finally {
        client.close();
      }
      // Another coordinator may take its place.
      if (!isOver) await sleep(heartbeatMs, o.signal).catch(() => {});
    }
  } finally {
    await verifiers.close();
  }
}

/** Whether the coordinator ended the call; false when it broke. */
async function serve(
  call: ClientDuplexStream<VerifierMessage, ImageToVerify>,
  verifiers: Verifiers,
  { dataRoot, signal }: Options,
): Promise<boolean> {
  // The reader below sees the error; without a listener it would end the process first.
  call.on('error', () => {});
  const cancel = () => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  const send = (message: VerifierMessage['message']) => {
    if (call.writable) call.write({ message });
  };
  const width = ahead * verifiers.width;
  send({ $case: 'verifier', value: { version, decoder: decoderVersion, width } });
  const answer = async (id: number, verdict: Promise<Verdict | null>) => {
    // Rejected when this process is about to end.
    const told = await verdict.catch(() => undefined);
    if (told !== undefined) send({ $case: 'verdict', value: describe(id, told) });
  };
  let parts: Uint8Array[] = [];
  let [near, sent] = [0, 0];
  try {
    for await (const image of call as AsyncIterable<ImageToVerify>) {
      const { id, data, last } = image;
      if (data.length === 0 && !last) {
        near += 1;
        void answer(id, verifyNear(image, dataRoot, verifiers));
      } else {
        parts.push(data);
        if (!last) continue;
        sent += 1;
        void answer(id, verifiers.verify({ bytes: Buffer.concat(parts) }));
        parts = [];
      }
    }
    call.end();
    if (near + sent > 0) log('info', 'verified images for the coordinator', { asked: near, sent });
    return true;
  } catch (thrown) {
    const { code, message } = RondoError.from(thrown);
    log('info', 'verifying images broke off', { reason: message });
    // What else is wrong the session will say.
    return code !== 'unavailable';
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** Null unless the coordinator's file is here too. */
async function verifyNear(
  { root, path, size, stamp }: ImageToVerify,
  dataRoot: string | null,
  verifiers: Verifiers,
): Promise<Verdict | null> {
  const file = openFolder(dataRoot ?? root).nameOf(path);
  const stats = await stat(file, { bigint: true }).catch(() => null);
  if (!stats?.isFile() || stampOf(stats) !== stamp) return null;
  const verdict = await verifiers.verify({ file, size: Number(size) });
  // What only this machine is to blame for.
  return verdict.finding.usable || verdict.lasting ? verdict : null;
}

function describe(id: number, verdict: Verdict | null): ImageVerdict {
  if (verdict === null) return { id, finding: { $case: 'absent', value: {} }, lasting: false };
  const { finding, lasting } = verdict;
  if (!finding.usable) return { id, finding: { $case: 'unusable', value: finding.reason }, lasting };
  const { width, height, digest } = finding;
  return {
    id,
    finding: { $case: 'usable', value: { width, height, digest: Buffer.from(digest, 'hex') } },
    lasting,
  };
}
