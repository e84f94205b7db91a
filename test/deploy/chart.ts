import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { buildGoPrograms } from '../support/go-programs.js';

export const here = fileURLToPath(new URL('.', import.meta.url));
export const chart = fileURLToPath(new URL('../../deploy/chart', import.meta.url));
export const valuesFiles = readdirSync(path.join(here, 'values'));

export interface Outcome {
  readonly code: number;
  readonly output: string;
}

/** What renders and lints by helm's code, kubeconform, and the check of pod security, built once into the cache. */
export async function obtainPrograms() {
  const folder = await buildGoPrograms(path.join(here, 'programs'));
  const program =
    (name: string) =>
    (args: readonly string[], input = ''): Promise<Outcome> =>
      call(path.join(folder, name), args, input);
  return { deploy: program('deploy'), kubeconform: program('kubeconform') };
}

function call(file: string, args: readonly string[], input: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(file, args, { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, output: stdout + stderr });
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

export interface KubernetesObject {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  // biome-ignore lint/suspicious/noExplicitAny: whatever the kind has
  readonly [field: string]: any;
}

export function readObjects(manifests: string): KubernetesObject[] {
  return parseAllDocuments(manifests)
    .map((document) => document.toJS() as KubernetesObject | null)
    .filter((object) => object !== null);
}

export function find(objects: readonly KubernetesObject[], kind: string, name: string): KubernetesObject {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
}
