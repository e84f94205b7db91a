import { closeSync } from 'node:fs';
import type { Assignment } from '../../proto/gen/coordinator.js';
import { PeerClient } from '../../proto/gen/peer.js';
import { maxStateChunkBytes } from '../../proto/state-chunk.js';
import { openChannel } from '../../runtime/grpc/channel.js';
import type { RunCredentials } from '../../runtime/grpc/credentials.js';
import { parseHostPort } from '../../runtime/host-port.js';
import { workerName } from '../../runtime/member-name.js';
import { type MadeSlotFile, makeSlotFile } from '../collective/transport/shared-memory/slot-file.js';
import type { StateForm } from '../training/snapshots.js';
import { receiveState } from './state-transfer.js';

interface CopyOptions {
  /** Names the peer, and the step whose state it holds. */
  readonly assignment: Assignment;
  readonly credentials: RunCredentials;
  readonly form: StateForm;
  /** A memory file system, through which a peer of this machine gives the state; null for none. */
  readonly sharedMemory: string | null;
  /** Filled. */
  readonly values: Float32Array;
  readonly signal: AbortSignal;
}

/**
 * Copies the state that an assignment's peer holds, as it holds it (Peer.CopyState). The caller proves that it is the
 * one that was sent. @throws RondoError data-loss for what is no state of `form`; else what the peer answers.
 */
export async function copyFromPeer(o: CopyOptions): Promise<void> {
  const { assignment, values, signal } = o;
  const peer = openChannel(PeerClient, assignment.statePeerAddress, {
    credentials: o.credentials,
    peer: workerName(assignment.statePeerId),
    maxReceiveBytes: maxStateChunkBytes,
  });
  const memory = offerMemory(o);
  const call = peer.copyState({
    generation: assignment.generation,
    step: assignment.startStep,
    flat: false,
    memory: memory?.offer,
  });
  const cancel = () => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    await receiveState(call, o.form, values, memory);
  } finally {
    signal.removeEventListener('abort', cancel);
    cancel();
    peer.close();
    memory?.unlink();
    if (memory !== null) closeSync(memory.fd);
  }
}

/** Null where the peer is on another machine, as its address says, or there is no room. */
function offerMemory({ assignment, sharedMemory, values }: CopyOptions): MadeSlotFile | null {
  const { statePeerAddress, peerAddresses, rank } = assignment;
  const [peer, own] = [statePeerAddress, peerAddresses[rank]!].map((address) => parseHostPort(address).host);
  if (sharedMemory === null || peer !== own) return null;
  return makeSlotFile(sharedMemory, { slotCount: 1, slotBytes: values.byteLength });
}
