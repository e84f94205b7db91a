import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Network } from '../../bench/support/network.js';

const program = fileURLToPath(new URL('lossy-network.py', import.meta.url));

export interface LossyNetwork extends Network {
  /** From now on nothing reaches the host of this rank, and nothing comes from it. */
  cut(rank: number): void;
  mend(rank: number): void;
}

/**
 * `count` network namespaces whose packets pass through a process that has each take `delayMs` and loses
 * `lossPercent` of them. Their TCP is BBR, which does not take every lost packet for a full link.
 */
export async function openLossyNetwork(
  count: number,
  o: { readonly delayMs: number; readonly lossPercent: number },
): Promise<LossyNetwork> {
  const hosts = Array.from({ length: count }, (_, rank) => ({
    namespace: `rondo-${process.pid}-far-${rank}`,
    address: `10.0.0.${rank + 1}`,
  }));
  let router: ChildProcess | null = null;
  const ip = (...inputs: string[]) => execFileSync('ip', inputs, { encoding: 'utf8' });
  const made: string[] = [];
  const destroy = () => {
    router?.kill('SIGKILL');
    for (const namespace of made.splice(0)) ip('netns', 'delete', namespace);
  };
  try {
    for (const { namespace } of hosts) {
      ip('netns', 'add', namespace);
      made.push(namespace);
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
      ip('netns', 'exec', namespace, 'sysctl', '-qw', 'net.ipv4.tcp_congestion_control=bbr');
    }
    const places = hosts.map(({ namespace, address }) => `${namespace}=${address}`);
    const inputs = [program, String(o.delayMs), String(o.lossPercent), ...places];
    const started = spawn('python3', inputs, { stdio: ['pipe', 'pipe', 'inherit'] });
    router = started;
    const ended = once(started, 'exit').then(() => {
      throw new Error('the network did not come up');
    });
    ended.catch(() => {});
    await Promise.race([once(started.stdout, 'data'), ended]);
    const say = (word: string, rank: number) => started.stdin.write(`${word} ${hosts[rank]!.address}\n`);
    return {
      hosts,
      destroy,
      cut: (rank) => void say('cut', rank),
      mend: (rank) => void say('mend', rank),
    };
  } catch (error) {
    destroy();
    throw error;
  }
}
