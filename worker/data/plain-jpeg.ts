import type { ImageSize } from '../../runtime/images.js';

const [startOfScan, endOfImage, exif, profile] = [0xda, 0xd9, 0xe1, 0xe2];
/** Baseline, extended and progressive; the others are not decoded by libjpeg. */
const frames = [0xc0, 0xc1, 0xc2];

/**
 * The size of a JPEG whose pixels need nothing but to be decoded: three components of 8 bits, no colour profile, and
 * no Exif data, which may say how it lies. Null for all other files.
 */
export function plainJpegSize(bytes: Uint8Array): ImageSize | null {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < 4 || view.readUInt16BE(0) !== 0xffd8) return null;
  for (let at = 2; at + 10 <= view.length; ) {
    if (view[at] !== 0xff) return null;
    const marker = view[at + 1]!;
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (frames.includes(marker)) {
      const [precision, components] = [view[at + 4], view[at + 9]];
      const size = { height: view.readUInt16BE(at + 5), width: view.readUInt16BE(at + 7) };
      return precision === 8 && components === 3 && size.height > 0 && size.width > 0 ? size : null;
    }
    if (marker === startOfScan || marker === endOfImage) return null;
    const says = (text: string) => view.toString('latin1', at + 4, at + 4 + text.length) === text;
    if ((marker === exif && says('Exif')) || (marker === profile && says('ICC_PROFILE'))) return null;
    at += 2 + view.readUInt16BE(at + 2);
  }
  return null;
}
