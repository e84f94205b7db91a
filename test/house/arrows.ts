import { posix } from 'node:path';

/** Source files by their path from the repository's root, `/` between folders. */
export type Tree = ReadonlyMap<string, string>;

interface Import {
  readonly from: string;
  readonly to: string;
}

/** Which rooms a room's files may import, besides their own. `bench` may import anything. */
const roomArrows: Record<string, readonly string[]> = {
  coordinator: ['plan', 'proto', 'runtime'],
  worker: ['plan', 'proto', 'runtime'],
  plan: ['runtime'],
  proto: ['plan', 'runtime'],
  runtime: [],
};

/**
 * The rooms inside both programs, from the top down: files import from their own room and from rooms below
 * it. `main` stands for the files directly in the program's folder.
 */
const layers: Record<string, readonly string[]> = {
  coordinator: [
    'main',
    'cli',
    'inference',
    'lr-find',
    'chaos',
    'run',
    'report',
    'terminal',
    'cluster',
    'membership',
    'launch',
    'kubernetes',
    'checkpoints',
    'telemetry',
    'run-store',
    'options',
    'pack',
    'dataset',
    'download',
  ],
  worker: [
    'main',
    'session',
    'jobs',
    'collective',
    'data',
    'compute',
    'training',
    'model',
    'tensorflow',
    'arithmetic',
  ],
};

/** Arrows that point down and are forbidden all the same: these rooms know nothing of each other. */
const extraArrows: Record<string, readonly string[]> = {
  'coordinator/inference': ['lr-find'],
  'coordinator/run': ['report', 'terminal'],
  'worker/session': ['jobs', 'tensorflow'],
  'worker/jobs': ['collective', 'tensorflow'],
  'worker/collective': ['data', 'compute', 'training', 'model', 'tensorflow'],
  'worker/data': ['compute', 'training', 'model', 'tensorflow'],
  'worker/compute': ['tensorflow'],
  'worker/training': ['tensorflow'],
};

const bindingFile = 'worker/tensorflow/binding.ts';
const mostLines = 250;

/**
 * Everything in which the tree departs from the house's drawing, one sentence each; empty when it does not.
 */
export function findDepartures(tree: Tree): string[] {
  const imports = [...tree].flatMap(([file, text]) => relativeImports(file, text));
  return [
    ...findUnlisted(tree),
    ...imports.flatMap((edge) => checkArrow(edge, tree)),
    ...findCycles(imports),
    ...[...tree].flatMap(([file, text]) => checkFile(file, text)),
  ];
}

/**
 * The modules that a file imports, statically or dynamically, or exports again. To start one as a program is
 * neither.
 */
export function namedModules(text: string): string[] {
  const forms = [
    /^(?:import|export)\s[\w\s{},*$]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^import\s*['"]([^'"]+)['"]/gm,
    /\bimport\(\s*['"]([^'"]+)['"]/g,
  ];
  return forms.flatMap((form) => [...text.matchAll(form)].map((match) => match[1]!));
}

function relativeImports(file: string, text: string): Import[] {
  return namedModules(text)
    .filter((name) => name.startsWith('.'))
    .map((name) => ({ from: file, to: posix.join(posix.dirname(file), name).replace(/\.js$/, '.ts') }));
}

function checkArrow({ from, to }: Import, tree: Tree): string[] {
  if (!tree.has(to)) return [`${from} imports ${to}, which is not there`];
  const [fromRoom, toRoom] = [roomOf(from), roomOf(to)];
  if (fromRoom === 'bench') return [];
  if (fromRoom !== toRoom) {
    return roomArrows[fromRoom]?.includes(toRoom) ? [] : [`${from} must not import ${to}`];
  }
  return mayImport(fromRoom, innerRoomOf(from), innerRoomOf(to)) ? [] : [`${from} must not import ${to}`];
}

function mayImport(program: string, from: string, to: string): boolean {
  const order = layers[program];
  if (order === undefined || from === to) return true;
  if (order.indexOf(from) > order.indexOf(to)) return false;
  return extraArrows[`${program}/${from}`]?.includes(to) !== true;
}

/** Rooms that the order above does not name. */
function findUnlisted(tree: Tree): string[] {
  const rooms = new Set([...tree.keys()].map((file) => `${roomOf(file)}/${innerRoomOf(file)}`));
  return [...rooms]
    .filter((room) => {
      const [program, inner] = room.split('/') as [string, string];
      return layers[program]?.includes(inner) === false;
    })
    .map((room) => `${room}/ has no place in the order of rooms`);
}

function roomOf(file: string): string {
  return file.split('/')[0]!;
}

function innerRoomOf(file: string): string {
  const parts = file.split('/');
  return parts.length === 2 ? 'main' : parts[1]!;
}

function checkFile(file: string, text: string): string[] {
  const departures: string[] = [];
  if (/['"`]@tensorflow\//.test(text) && file !== bindingFile) {
    departures.push(`${file} names @tensorflow/…, which only ${bindingFile} does`);
  }
  if (file.includes('/gen/')) return departures;
  if (isBarrel(text)) departures.push(`${file} only re-exports`);
  const lines = text.split('\n').length - 1;
  if (lines > mostLines) departures.push(`${file} has ${lines} lines, more than ${mostLines}`);
  return departures;
}

function isBarrel(text: string): boolean {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const rest = code
    .replace(/^import\s[\w\s{},*$]*?\bfrom\s*['"][^'"]+['"];?/gm, '')
    .replace(/^export\s[\w\s{},*$]*?\bfrom\s*['"][^'"]+['"];?/gm, '')
    .replace(/^export\s*(?:type\s*)?\{[^}]*\};?/gm, '');
  return rest.trim() === '' && /^export\s/m.test(code);
}

/** One sentence per import that closes a circle, found depth first. */
function findCycles(imports: readonly Import[]): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to]);
  const finished = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      cycles.push(`a circle of imports: ${[...path.slice(path.indexOf(file)), file].join(' → ')}`);
    } else if (!finished.has(file)) {
      for (const to of next.get(file) ?? []) visit(to, [...path, file]);
      finished.add(file);
    }
  };
  for (const file of next.keys()) visit(file, []);
  return cycles;
}
