import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { cannotUseTemporary, makeTemporaryFolder } from '../../runtime/make-folder.js';
import { dtypeCodes } from './dtype.js';
import type { Graph, Tensor } from './graph.js';
import { writeGraphDef } from './graph-def.js';
import { nest, writeShape } from './node-def.js';

/** What a loaded model can be called by: its own names of tensors that are fed and fetched together. */
export interface Signature {
  readonly name: string;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

const servingMethod = 'tensorflow/serving/predict';

/** The tag under which a graph is written and loaded. */
export const servingTag = 'serve';

/**
 * A graph as the bytes of `saved_model.pb` (tensorflow/core/protobuf/saved_model.proto and meta_graph.proto).
 * It has no saver and no variables folder: a session of it starts with its variables unset.
 */
export function encodeSavedModel(graph: Graph, signatures: readonly Signature[] = []): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, 0).int64(1);
  nest(writer, 2, (metaGraph) => {
    nest(metaGraph, 1, (info) => info.tag(4, 2).string(servingTag));
    nest(metaGraph, 2, (inner) => writeGraphDef(inner, graph));
    for (const signature of signatures) nest(metaGraph, 5, (entry) => writeSignature(entry, signature));
  });
  return writer.finish();
}

/** An entry of the meta graph's map of names to SignatureDef messages. */
function writeSignature(writer: BinaryWriter, { name, inputs, outputs }: Signature): void {
  writer.tag(1, 2).string(name);
  nest(writer, 2, (definition) => {
    for (const [field, tensors] of [
      [1, inputs],
      [2, outputs],
    ] as const) {
      for (const [called, tensor] of Object.entries(tensors)) {
        nest(definition, field, (entry) => {
          entry.tag(1, 2).string(called);
          nest(entry, 2, (info) => writeTensorInfo(info, tensor));
        });
      }
    }
    definition.tag(3, 2).string(servingMethod);
  });
}

function writeTensorInfo(writer: BinaryWriter, { node, index, dtype, shape }: Tensor): void {
  writer.tag(1, 2).string(`${node.name}:${index}`).tag(2, 0).int32(dtypeCodes[dtype]);
  nest(writer, 3, (inner) => writeShape(inner, shape));
}

/** Writes the graph as a SavedModel into a folder of its own for as long as `use` runs. */
export function withSavedModel<T>(graph: Graph, use: (directory: string) => T): T {
  const directory = makeTemporaryFolder('rondo-graph-');
  try {
    writeTemporary(join(directory, 'saved_model.pb'), encodeSavedModel(graph));
    return use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function writeTemporary(file: string, bytes: Uint8Array): void {
  try {
    writeFileSync(file, bytes);
  } catch (error) {
    throw cannotUseTemporary(error);
  }
}
