import { z } from 'zod';
import { RondoError } from './errors.js';
import { parseJson } from './parse-json.js';

/** One tensor of a safetensors file. */
export interface SafetensorsEntry {
  readonly name: string;
  /** As the format spells it: "F32", "F16", "BF16", "I64" … */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** First and one-past-last byte, counted from the start of the file. */
  readonly start: number;
  readonly end: number;
}

/** What lies before the first tensor's bytes. */
export interface SafetensorsHeader {
  readonly entries: readonly SafetensorsEntry[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Where the tensors' bytes begin, counted from the start of the file. */
  readonly dataStart: number;
}

const index = z.int().nonnegative();
const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(index),
  data_offsets: z.tuple([index, index]),
});
const headerSchema = z
  .object({ __metadata__: z.record(z.string(), z.string()).optional() })
  .catchall(entrySchema);

const remedy = 'take another copy of the file';
export const safetensorsLengthBytes = 8;
const maxHeaderBytes = 100_000_000;
const dtypeBytes: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
};

/**
 * The bytes that come before tensors written one after the other in this order: length, JSON, spaces up to a
 * multiple of 8 bytes. Source: huggingface/safetensors, README "Format".
 */
export function encodeSafetensorsHeader(
  tensors: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    const end = offset + tensorBytes(dtype, shape);
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(header));
  const bytes = Buffer.alloc(safetensorsLengthBytes + Math.ceil(json.length / 8) * 8, ' ');
  bytes.writeBigUInt64LE(BigInt(bytes.length - safetensorsLengthBytes), 0);
  json.copy(bytes, safetensorsLengthBytes);
  return bytes;
}

/** Length of the JSON that follows the first 8 bytes. Throws data-loss when that cannot be. */
export function safetensorsJsonBytes(firstBytes: Uint8Array, file: string): number {
  if (firstBytes.length < safetensorsLengthBytes) throw broken(file, 'it is shorter than 8 bytes');
  const length = Buffer.from(firstBytes.buffer, firstBytes.byteOffset, 8).readBigUInt64LE(0);
  if (length > BigInt(maxHeaderBytes)) throw broken(file, `its header would be ${length} bytes long`);
  return Number(length);
}

/**
 * Reads the header of a file of `fileBytes` bytes from its beginning (at least the header's part of it).
 * Throws data-loss, naming `file`, when the header is broken or tensors lie outside the file.
 */
export function parseSafetensorsHeader(
  beginning: Uint8Array,
  fileBytes: number,
  file: string,
): SafetensorsHeader {
  const jsonBytes = safetensorsJsonBytes(beginning, file);
  const dataStart = safetensorsLengthBytes + jsonBytes;
  if (dataStart > fileBytes || dataStart > beginning.length) throw broken(file, 'it ends within its header');
  const text = Buffer.from(beginning.buffer, beginning.byteOffset + safetensorsLengthBytes, jsonBytes);
  const source = { name: `the header of ${file}`, remedy };
  const { __metadata__: metadata = {}, ...tensors } = parseJson(headerSchema, text.toString(), source);
  const entries = Object.entries(tensors).map(([name, entry]) =>
    placeEntry(name, entry, { dataStart, fileBytes, file }),
  );
  return { entries, metadata, dataStart };
}

function placeEntry(
  name: string,
  { dtype, shape, data_offsets: offsets }: z.infer<typeof entrySchema>,
  { dataStart, fileBytes, file }: { dataStart: number; fileBytes: number; file: string },
): SafetensorsEntry {
  if (dtypeBytes[dtype] === undefined) throw broken(file, `"${name}" has the unknown type ${dtype}`);
  const [start, end] = [dataStart + offsets[0], dataStart + offsets[1]];
  if (end > fileBytes) throw broken(file, `"${name}" ends at byte ${end} of ${fileBytes}`);
  if (end - start !== tensorBytes(dtype, shape)) {
    throw broken(file, `"${name}" (${dtype} [${shape.join(', ')}]) takes ${end - start} bytes`);
  }
  return { name, dtype, shape, start, end };
}

function tensorBytes(dtype: string, shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, dtypeBytes[dtype]!);
}

function broken(file: string, why: string): RondoError {
  return new RondoError('data-loss', `${file} is not a whole safetensors file: ${why}`, {
    remedy,
  });
}
