import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { RondoError } from '../../runtime/errors.js';
import { parseHostPort } from '../../runtime/host-port.js';

/** Between a coordinator and the workers that it starts; for some of them it carries nothing for a while. */
export interface Relay {
  /** HOST:PORT that workers reach the coordinator by. */
  readonly address: string;
  /** Leads to a coordinator that listens on HOST:PORT from now on. */
  leadTo(target: string): void;
  /**
   * Holds back what a process sends, and unless it is `oneWay` what it is sent too. All of it arrives when the
   * function that is returned is called, as after a partition of a network.
   *
   * @throws RondoError failed-precondition when it is cut off already, or has no connection here that the system tells
   *   of.
   */
  cutOff(pid: number, o: { readonly oneWay: boolean }): () => void;
  /** Breaks every connection. */
  close(): void;
}

interface Pair {
  readonly worker: Socket;
  readonly coordinator: Socket;
}

/** Listens on loopback. */
export async function openRelay(): Promise<Relay> {
  const pairs = new Set<Pair>();
  /** By process that is cut off: its connections, which are held, and whether one way only. */
  const cuts = new Map<number, { readonly oneWay: boolean; readonly held: Pair[] }>();
  let target: ReturnType<typeof parseHostPort> | null = null;

  const hold = ({ worker, coordinator }: Pair, oneWay: boolean) => {
    worker.unpipe(coordinator).pause();
    if (!oneWay) coordinator.unpipe(worker).pause();
  };
  const release = ({ worker, coordinator }: Pair, oneWay: boolean) => {
    worker.pipe(coordinator);
    if (!oneWay) coordinator.pipe(worker);
  };
  const pairsOf = (pid: number) => {
    const ports = localPorts(pid);
    return [...pairs].filter(({ worker }) => ports.has(worker.remotePort ?? 0));
  };
  const server = createServer((worker) => {
    if (target === null) {
      worker.destroy();
      return;
    }
    const pair = { worker, coordinator: connect(target) };
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      pair.worker.destroy();
      pair.coordinator.destroy();
    };
    for (const socket of [pair.worker, pair.coordinator]) socket.on('error', end).on('close', end);
    worker.pipe(pair.coordinator).pipe(worker);
    for (const [pid, { oneWay, held }] of cuts) {
      if (!pairsOf(pid).includes(pair)) continue;
      held.push(pair);
      hold(pair, oneWay);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    leadTo(address) {
      target = parseHostPort(address);
    },
    cutOff(pid, { oneWay }) {
      const held = pairsOf(pid);
      if (cuts.has(pid)) throw new RondoError('failed-precondition', 'it is cut off already');
      if (held.length === 0) {
        throw new RondoError('failed-precondition', 'it has no connection with the coordinator just now');
      }
      cuts.set(pid, { oneWay, held });
      for (const pair of held) hold(pair, oneWay);
      return () => {
        cuts.delete(pid);
        for (const pair of held) if (pairs.has(pair)) release(pair, oneWay);
      };
    },
    close() {
      server.close();
      for (const { worker } of pairs) worker.destroy();
    },
  };
}

/** Of a process's connections over IPv4, by what Linux tells; none of one that has ended. */
function localPorts(pid: number): Set<number> {
  try {
    const folder = `/proc/${pid}/fd`;
    const held = new Set(readdirSync(folder).map((name) => readLink(`${folder}/${name}`)));
    const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1);
    const fields = rows.map((row) => row.trim().split(/\s+/));
    const own = fields.filter(([, , , , , , , , , inode]) => held.has(`socket:[${inode}]`));
    return new Set(own.map(([, local]) => Number.parseInt(local!.split(':')[1]!, 16)));
  } catch {
    return new Set();
  }
}

/** Empty when it was closed meanwhile. */
function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
