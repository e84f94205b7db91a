import { spawnSync } from 'node:child_process';

// `npm run test:node-versions [-- 22 24]`: the short suite on each version of Node that Rondo supports. The
// binaries come from the registry's packages `node-PLATFORM-ARCH`, which npm keeps. Set-up must have run; it
// is the same for all of them, for the binding is of Node-API.

const majors = process.argv.length > 2 ? process.argv.slice(2) : ['20', '22', '24'];
/**
 * What depends on Node: streams, workers, gRPC, WebAssembly, memory shared with TensorFlow and the system,
 * whole programs' command lines.
 */
const suite = [
  'test/plan',
  'test/proto',
  'test/runtime',
  'test/coordinator/cli',
  'test/coordinator/membership',
  'test/worker/collective',
];
suite.push('test/worker/session', 'test/worker/tensorflow', 'test/scripts');

let failed = false;
for (const major of majors) {
  const from = ['exec', '--yes', `--package=node-${process.platform}-${process.arch}@${major}`, '--', 'node'];
  const { stdout } = spawnSync('npm', [...from, '--version'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const version = stdout.trim();
  if (!version.startsWith(`v${major}.`)) {
    process.stdout.write(`Node ${major}: npm has no such version for ${process.platform} ${process.arch}\n`);
    failed = true;
    continue;
  }
  process.stdout.write(`Node ${version}\n`);
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--reporter=dot', ...suite];
  const { status } = spawnSync('npm', [...from, ...vitest], { stdio: ['ignore', 'inherit', 'inherit'] });
  process.stdout.write(`Node ${version}: ${status === 0 ? 'passed' : 'FAILED'}\n`);
  failed ||= status !== 0;
}
process.exitCode = failed ? 1 : 0;
