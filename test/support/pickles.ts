/**
 * Pieces of pickles of protocol 2, to be joined; what PyTorch's writer would not write can be written too.
 */
export const pickle = {
  of: (...parts: (Buffer | string)[]) =>
    Buffer.concat([Buffer.of(0x80, 2), ...parts.map(bytesOf), Buffer.from('.')]),
  text(value: string): Buffer {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(Buffer.byteLength(value));
    return Buffer.concat([Buffer.from('X'), length, Buffer.from(value)]);
  },
  integer(value: number): Buffer {
    const bytes = Buffer.alloc(5, 'J');
    bytes.writeInt32LE(value, 1);
    return bytes;
  },
  global: (module: string, name: string) => Buffer.from(`c${module}\n${name}\n`),
  tuple: (...parts: (Buffer | string)[]) =>
    Buffer.concat([Buffer.from('('), ...parts.map(bytesOf), Buffer.from('t')]),
  dict: (...parts: (Buffer | string)[]) =>
    Buffer.concat([Buffer.from('}('), ...parts.map(bytesOf), Buffer.from('u')]),
  none: Buffer.from('N'),
};

export interface TensorPickle {
  readonly type?: string;
  readonly key?: string;
  readonly count: number;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  /** The sixth part of a storage's id, before 1.6. */
  readonly view?: Buffer;
}

/** A call of torch._utils._rebuild_tensor_v2. */
export function tensorPickle({
  type = 'FloatStorage',
  key = '0',
  count,
  offset = 0,
  ...o
}: TensorPickle): Buffer {
  const { text, integer, global, tuple } = pickle;
  const view = o.view === undefined ? [] : [o.view];
  const id = tuple(text('storage'), global('torch', type), text(key), text('cpu'), integer(count), ...view);
  const [shape, strides] = [tuple(...o.shape.map(integer)), tuple(...o.strides.map(integer))];
  const args = tuple(Buffer.concat([id, Buffer.from('Q')]), integer(offset), shape, strides, '\x89', '}');
  return Buffer.concat([global('torch._utils', '_rebuild_tensor_v2'), args, Buffer.from('R')]);
}

function bytesOf(part: Buffer | string): Buffer {
  return typeof part === 'string' ? Buffer.from(part, 'latin1') : part;
}
