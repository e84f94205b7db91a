import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folders = ['plan', 'proto', 'runtime', 'coordinator', 'worker', 'bench', 'test'];

/** What opens a server or a channel of grpc-js, or makes credentials for one. */
const openers =
  /\bcreateInsecure\b|\bcreateSsl\b|\bnew (?:grpc\.)?Server\b|\bServerCredentials\b|\bChannelCredentials\b|\bbindAsync\b|\bcreateConnectionInjector\b|\bnew (?:\w*Client)\(/;

const onlyThere = /^(?:runtime\/grpc\/|proto\/gen\/|test\/runtime\/grpc\/|test\/house\/grpc\.test\.ts$)/;

function sources(): { file: string; text: string }[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => ({ file: `${folder}/${name}`, text: readFileSync(join(root, folder, name), 'utf8') })),
  );
}

it('opens gRPC servers and channels in runtime/grpc alone, so that none is without options and credentials', () => {
  const all = sources();
  expect(all.some(({ file, text }) => file.startsWith('runtime/grpc/') && openers.test(text))).toBe(true);
  const others = all.filter(({ file, text }) => !onlyThere.test(file) && openers.test(text));
  expect(others.map(({ file }) => file)).toEqual([]);
});

it.each([
  ['new CoordinatorClient(address, credentials)', true],
  ['const server = new Server(options);', true],
  ['const server = new grpc.Server();', true],
  ['credentials.createInsecure()', true],
  ['openChannel(PeerClient, address, o)', false],
  ['await openGrpcServer(address, o)', false],
])('%s: %s', (text, found) => {
  expect(openers.test(text)).toBe(found);
});
