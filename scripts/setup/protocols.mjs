import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './places.mjs';
import { mustRun } from './run-command.mjs';
import { digestContents } from './stamps.mjs';

const generated = join(root, 'proto', 'gen');

/** What the generated protocol code depends on. */
export function protocolsDigest() {
  const sources = protocolFiles();
  const tools = ['node_modules/ts-proto/package.json', 'node_modules/@bufbuild/buf/package.json'];
  return digestContents(root, [...sources, 'buf.gen.yaml', 'buf.yaml', ...tools]);
}

export function protocolsAreGenerated() {
  try {
    const there = readdirSync(generated);
    return protocolFiles().every((file) => there.includes(file.replace(/^proto\/(.*)\.proto$/, '$1.ts')));
  } catch {
    return false;
  }
}

/** Generates the TypeScript of every .proto file. */
export async function generateProtocols() {
  await mustRun(process.execPath, [join(root, 'node_modules', '.bin', 'buf'), 'generate', '--clean'], {
    cwd: root,
    doing: 'Generating the protocol code',
    remedy:
      'If a .proto file has just been changed, correct it; else remove node_modules and run `npm run setup` again.',
  });
}

function protocolFiles() {
  return readdirSync(join(root, 'proto'))
    .filter((name) => name.endsWith('.proto'))
    .map((name) => `proto/${name}`);
}
