import { crc32 } from 'node:zlib';

export interface ZipOptions {
  /** Sizes and places in 64 bits everywhere, as in archives beyond 4 GiB. */
  readonly zip64?: boolean;
  /** 0: stored. */
  readonly method?: number;
  readonly comment?: string;
}

/** An archive of stored files (PKWARE, APPNOTE.TXT 4.3). */
export function zipOf(files: Readonly<Record<string, Uint8Array>>, o: ZipOptions = {}): Buffer {
  const { zip64 = false, method = 0, comment = '' } = o;
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  const place = () => parts.reduce((sum, part) => sum + part.length, 0);
  for (const [name, content] of Object.entries(files)) {
    const start = place();
    const [checksum, size, label] = [crc32(content), content.length, Buffer.from(name)];
    const common = (sizes: number) => [
      u16(method),
      u32(0),
      u32(checksum),
      u32(sizes),
      u32(sizes),
      u16(label.length),
    ];
    parts.push(
      Buffer.concat([u32(0x04034b50), u16(20), u16(0), ...common(size), u16(4), label, u16(0x4246), u16(0)]),
      Buffer.from(content),
    );
    const wide = Buffer.concat([u16(0x4246), u16(0), u16(1), u16(24), u64(size), u64(size), u64(start)]);
    const extra = zip64 ? wide : Buffer.alloc(0);
    directory.push(
      Buffer.concat([u32(0x02014b50), u16(45), u16(45), u16(0), ...common(zip64 ? 0xffffffff : size)]),
      Buffer.concat([
        u16(extra.length),
        u16(0),
        u16(0),
        u16(0),
        u32(0),
        u32(zip64 ? 0xffffffff : start),
        label,
        extra,
      ]),
    );
  }
  const [start, count] = [place(), Object.keys(files).length];
  const list = Buffer.concat(directory);
  const end64 = Buffer.concat([
    ...[
      u32(0x06064b50),
      u64(44),
      u16(45),
      u16(45),
      u32(0),
      u32(0),
      u64(count),
      u64(count),
      u64(list.length),
      u64(start),
    ],
    ...[u32(0x07064b50), u32(0), u64(start + list.length), u32(1)],
  ]);
  const counts = zip64 ? [u16(0xffff), u16(0xffff)] : [u16(count), u16(count)];
  const places = zip64 ? [u32(0xffffffff), u32(0xffffffff)] : [u32(list.length), u32(start)];
  const end = [
    u32(0x06054b50),
    u16(0),
    u16(0),
    ...counts,
    ...places,
    u16(comment.length),
    Buffer.from(comment),
  ];
  return Buffer.concat([...parts, list, ...(zip64 ? [end64] : []), ...end]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
