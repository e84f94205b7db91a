import sharp from 'sharp';
import { expect, it } from 'vitest';
import { drawImageGrid } from '../../../coordinator/inference/image-grid.js';

it('draws every pixel of every image as a square of its own colour, and a label below', async () => {
  const size = 32;
  const count = 5;
  const pixels = Uint8Array.from({ length: count * size * size * 3 }, (_, index) => (index * 89) % 251);
  const labels = ['cat', 'dog', 'a & b', 'x'.repeat(90), ''];
  const png = await drawImageGrid({ title: 'five', pixels, size, labels });
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const scale = 5; // 32 px are enlarged to 160
  const cell = { width: size * scale + 12, height: size * scale + 26 };
  expect(info.width).toBe(12 + 3 * cell.width);
  const at = (x: number, y: number) => [
    ...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3),
  ];
  for (let image = 0; image < count; image += 1) {
    const [left, top] = [12 + (image % 3) * cell.width, 48 + Math.floor(image / 3) * cell.height];
    for (const [x, y] of [
      [0, 0],
      [31, 0],
      [7, 20],
      [31, 31],
    ] as const) {
      const start = ((image * size + y) * size + x) * 3;
      const wanted = [...pixels.subarray(start, start + 3)];
      expect(at(left + x * scale, top + y * scale)).toEqual(wanted);
      expect(at(left + x * scale + scale - 1, top + y * scale + scale - 1)).toEqual(wanted);
    }
    const caption = data.subarray(
      (top + size * scale + 4) * info.width * 3,
      (top + size * scale + 22) * info.width * 3,
    );
    expect(caption.some((value) => value < 128)).toBe(true);
  }
});
