import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import type { Graph } from './graph.js';
import { nest, writeGraphDef } from './graph-def.js';

/** The tag under which a graph is written and loaded. */
export const servingTag = 'serve';

/**
 * A graph as the bytes of `saved_model.pb` (tensorflow/core/protobuf/saved_model.proto and meta_graph.proto). It has no
 * saver and no variables folder: a session of it starts with its variables unset.
 */
export function encodeSavedModel(graph: Graph): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, 0).int64(1);
  nest(writer, 2, (metaGraph) => {
    nest(metaGraph, 1, (info) => info.tag(4, 2).string(servingTag));
    nest(metaGraph, 2, (inner) => writeGraphDef(inner, graph));
  });
  return writer.finish();
}

/** Writes the graph as a SavedModel into a folder of its own for as long as `use` runs. */
export function withSavedModel<T>(graph: Graph, use: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'rondo-graph-'));
  try {
    writeFileSync(join(directory, 'saved_model.pb'), encodeSavedModel(graph));
    return use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
