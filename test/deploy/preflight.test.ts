import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../bench/support/free-port.js';

const script = fileURLToPath(new URL('../../deploy/chart/files/preflight.mjs', import.meta.url));

it('measures the bandwidth between two pods: both ends are content when the reader has seen enough', async () => {
  const port = await freePort();
  const lines = await Promise.all(['0', '1'].map((index) => bandwidthSeenBy(index, port)));
  expect(lines).toEqual([
    expect.stringMatching(/^ok {6}peer bandwidth: sent \d+ MB to 127\.0\.0\.1$/),
    expect.stringMatching(/^ok {6}peer bandwidth: \d+ MB\/s .* from 127\.0\.0\.1$/),
  ]);
});

/** The line of one pod, which is ended then: the checks that follow need a cluster. */
async function bandwidthSeenBy(index: string, port: number): Promise<string | undefined> {
  const pod = spawn(process.execPath, [script], {
    env: {
      ...{ JOB_COMPLETION_INDEX: index, PEER_HOST: '127.0.0.1', PEER_PORT: `${port}` },
      ...{ COORDINATOR_HOST: '127.0.0.1', SHM_MIB: '1', MINIMUM_BANDWIDTH: '0' },
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void pod.kill('SIGKILL'));
  for await (const line of createInterface({ input: pod.stdout })) {
    if (line.includes('peer bandwidth')) return line;
  }
  return undefined;
}
