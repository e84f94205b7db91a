import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { openNetwork } from '../../../bench/support/network.js';

const run = (...args: string[]) => execFileSync(args[0]!, args.slice(1), { encoding: 'utf8' });

function canMakeNamespaces(): boolean {
  try {
    openNetwork(1, 100).destroy();
    return true;
  } catch {
    return false;
  }
}

const isRoot = process.getuid?.() === 0;

describe('openNetwork', () => {
  it.skipIf(isRoot)('says that it needs root', () => {
    expect(() => openNetwork(2, 200)).toThrow('network namespaces need root');
  });

  it.skipIf(!canMakeNamespaces())('joins namespaces by links of a rate, and takes them away again', () => {
    const network = openNetwork(2, 200);
    const [first, second] = network.hosts;
    try {
      const shaped = run('tc', '-n', first!.namespace, 'qdisc', 'show', 'dev', 'eth0');
      expect(shaped).toMatch(/tbf .*rate 1600Mbit/);
      const route = run('ip', '-n', first!.namespace, 'route', 'get', second!.address);
      expect(route).toContain(`dev eth0 src ${first!.address}`);
    } finally {
      network.destroy();
    }
    network.destroy();
    expect(run('ip', 'netns', 'list')).not.toContain(first!.namespace);
  });

  it.skipIf(!canMakeNamespaces())('leaves nothing behind when a link cannot be made', () => {
    expect(() => openNetwork(2, 0)).toThrow('qdisc add');
    expect(run('ip', 'netns', 'list')).not.toContain(`rondo-${process.pid}-`);
  });
});
