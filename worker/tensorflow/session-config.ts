import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { nest } from './node-def.js';

/**
 * Where the binding reads the ConfigProto of the sessions that it loads, in hexadecimal digits
 * (scripts/setup/session-config.h).
 */
export const sessionConfigVariable = 'RONDO_SESSION_CONFIG';

// Field numbers are those of tensorflow/core/protobuf: config.proto (ConfigProto, GraphOptions) and
// rewriter_config.proto (RewriterConfig).
const graphOptions = 10;
const rewriteOptions = 10;
const memoryOptimization = { field: 4, none: 1 };
const iterations = { field: 12, one: 1 };

/**
 * For sessions on a CPU: before the first run of each kind TensorFlow rewrites the graph, twice by default, and
 * estimates the memory that it needs, to have some of a GPU's swapped to the host. Once is enough for graphs like
 * Rondo's: the runs have the same bits, take the same time, and are prepared in half of it.
 */
export function cpuSessionConfig(): Uint8Array {
  const writer = new BinaryWriter();
  nest(writer, graphOptions, (graph) =>
    nest(graph, rewriteOptions, (rewriting) => {
      rewriting.tag(memoryOptimization.field, 0).int32(memoryOptimization.none);
      rewriting.tag(iterations.field, 0).int32(iterations.one);
    }),
  );
  return writer.finish();
}
