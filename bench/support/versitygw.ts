import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { installation } from '../../runtime/installation.js';
import { freePort } from './free-port.js';

/** A real S3 server, by name and version; Go's checksum database vouches for what is built. */
const version = '1.8.0';
const module = `github.com/versity/versitygw/cmd/versitygw@v${version}`;

/** Null where it can be had. */
export const whyWithoutVersitygw: string | null =
  existsSync(programOf()) || spawnSync('go', ['version']).status === 0
    ? null
    : 'there is no Go to build versitygw with';

function programOf(): string {
  return path.join(installation().cacheDir, `versitygw-${version}`, 'versitygw');
}

/** Built once, in about two minutes, into Rondo's cache. */
function buildVersitygw(): string {
  const program = programOf();
  if (existsSync(program)) return program;
  const incoming = mkdtempSync(`${path.dirname(program)}.`);
  execFileSync('go', ['install', '-trimpath', module], {
    env: { ...process.env, GOBIN: incoming, CGO_ENABLED: '0' },
    stdio: 'pipe',
  });
  rmSync(path.dirname(program), { recursive: true, force: true });
  renameSync(incoming, path.dirname(program));
  return program;
}

export interface Versitygw {
  readonly url: string;
  /** What clients find their credentials in. */
  readonly environment: Readonly<Record<string, string>>;
  /** Holds a folder for each bucket. */
  readonly folder: string;
  /** Bytes that it has written so far, nearly all of them to its clients; 0 where the system does not say. */
  readonly written: number;
  close(): void;
}

/** Starts it on the loopback, with empty buckets. */
export async function startVersitygw(...buckets: readonly string[]): Promise<Versitygw> {
  const program = buildVersitygw();
  const folder = mkdtempSync(path.join(tmpdir(), 'rondo-s3-'));
  for (const bucket of buckets) mkdirSync(path.join(folder, bucket));
  const port = await freePort();
  const [access, secret, region] = ['AKIDRONDO', 'a/secret+of=ours', 'eu-central-1'];
  const inputs = ['--access', access, '--secret', secret, '--region', region, '--port', `127.0.0.1:${port}`];
  const server = spawn(program, [...inputs, '--quiet', 'posix', folder], { stdio: 'ignore' });
  const stop = () => {
    server.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  for (let tries = 0; !(await listens(port)); tries += 1) {
    if (server.exitCode !== null || tries > 300) {
      stop();
      throw new Error('versitygw does not start');
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const url = `http://127.0.0.1:${port}`;
  return {
    ...{ url, folder, close: stop },
    get written() {
      return writtenBy(server.pid!);
    },
    environment: {
      ...{ AWS_ENDPOINT_URL: url, AWS_REGION: region, AWS_EC2_METADATA_DISABLED: 'true' },
      ...{ AWS_ACCESS_KEY_ID: access, AWS_SECRET_ACCESS_KEY: secret },
    },
  };
}

function writtenBy(pid: number): number {
  try {
    return Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))![1]);
  } catch {
    return 0;
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
