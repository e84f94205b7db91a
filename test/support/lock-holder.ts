import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** A process of its own that holds the lock at `path` until it is killed. */
export async function holdLockElsewhere(path: string): Promise<ChildProcess> {
  const script = `import('./dist/runtime/file-lock.js').then(({ tryLock }) => {
    if (tryLock(process.argv[1]) === null) process.exit(1);
    console.log('held');
    setInterval(() => {}, 1_000);
  });`;
  const cwd = new URL('../..', import.meta.url);
  const child = spawn(process.execPath, ['-e', script, path], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

export async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}
