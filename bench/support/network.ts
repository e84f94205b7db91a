import { execFileSync } from 'node:child_process';
import { z } from 'zod';
import { RondoError } from '../../runtime/errors.js';
import { parseJson } from '../../runtime/parse-json.js';

/** Network namespaces on one switch, each behind a link of its own. */
export interface Network {
  /** By rank: the namespace's name, and its address. */
  readonly hosts: readonly { readonly namespace: string; readonly address: string }[];
  /** Takes everything away again. May be called twice. */
  destroy(): void;
}

export interface MeteredNetwork extends Network {
  /** Bytes that each link has carried away from its namespace so far. */
  sentBytes(): number[];
}

/** What each namespace calls its end of its link. */
export const device = 'eth0';
/** Bytes that a link may send at once before its rate holds it. */
const burst = '256kb';
/** How long a packet may wait in a link's queue before it is dropped. */
const queueTime = '50ms';

/**
 * `count` network namespaces, each joined by a pair of virtual interfaces to a bridge in one more, and held
 * to `megabytesPerSecond` (10^6 bytes) of what it sends. They are named after this process.
 *
 * @throws RondoError `failed-precondition` without root's rights, or without iproute2's `ip` and `tc`.
 */
export function openNetwork(count: number, megabytesPerSecond: number): MeteredNetwork {
  if (process.getuid?.() !== 0) {
    throw new RondoError('failed-precondition', 'network namespaces need root', {
      remedy: 'Run it as root.',
    });
  }
  const name = (what: string | number) => `rondo-${process.pid}-${what}`;
  const names = ['switch', ...Array(count).keys()].map(name);
  const [hub] = names;
  let made = 0;
  const destroy = () => {
    for (const each of names.slice(0, made)) call('ip', 'netns', 'delete', each);
    made = 0;
  };
  try {
    for (const each of names) {
      call('ip', 'netns', 'add', each);
      made += 1;
      call('ip', '-n', each, 'link', 'set', 'lo', 'up');
    }
    call('ip', '-n', hub!, 'link', 'add', 'bridge', 'type', 'bridge');
    call('ip', '-n', hub!, 'link', 'set', 'bridge', 'up');
    const hosts = names.slice(1).map((namespace, rank) => {
      const [port, address] = [`port${rank}`, `10.0.0.${rank + 1}`];
      call('ip', '-n', hub!, 'link', 'add', port, 'type', 'veth', 'peer', 'name', device, 'netns', namespace);
      call('ip', '-n', hub!, 'link', 'set', port, 'master', 'bridge', 'up');
      call('ip', '-n', namespace, 'address', 'add', `${address}/24`, 'dev', device);
      call('ip', '-n', namespace, 'link', 'set', device, 'up');
      const rate = `${Math.round(8 * megabytesPerSecond)}mbit`;
      call(
        'tc',
        '-n',
        namespace,
        'qdisc',
        'add',
        'dev',
        device,
        'root',
        'tbf',
        'rate',
        rate,
        'burst',
        burst,
        'latency',
        queueTime,
      );
      return { namespace, address };
    });
    const sentBytes = () => hosts.map(({ namespace }) => sentFrom(namespace));
    return { hosts, sentBytes, destroy };
  } catch (error) {
    destroy();
    throw error;
  }
}

/** The command that runs another in a rank's namespace; none without a network. */
export function insideOf(network: Pick<Network, 'hosts'> | null, rank: number): string[] {
  return network === null ? [] : ['ip', 'netns', 'exec', network.hosts[rank]!.namespace];
}

const linkSchema = z.tuple([z.object({ stats64: z.object({ tx: z.object({ bytes: z.number() }) }) })]);

function sentFrom(namespace: string): number {
  const shown = call('ip', '-n', namespace, '-j', '-s', 'link', 'show', device);
  const name = `what ip says of ${namespace}`;
  const [{ stats64 }] = parseJson(linkSchema, shown, { name, code: 'internal', remedy: 'update iproute2' });
  return stats64.tx.bytes;
}

function call(program: string, ...args: string[]): string {
  try {
    return execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  } catch (cause) {
    const { stderr } = cause as { stderr?: string };
    const why = stderr?.trim() || (cause as Error).message;
    throw new RondoError('failed-precondition', `${program} ${args.join(' ')}: ${why}`, {
      remedy:
        'Install iproute2, and run where network namespaces can be made (not in a restricted container).',
      cause,
    });
  }
}
