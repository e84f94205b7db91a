import type { RandomStream } from '../../plan/random.js';

/** Draws one class as SVG in a circle of radius 1 around the origin, in the given colour. */
export type ShapeDrawer = (stream: RandomStream, colour: string) => string;

/** The sample's classes. Names sort as they stand here. */
export const sampleShapes: Readonly<Record<string, ShapeDrawer>> = {
  checkerboard: (stream, colour) => {
    const cells = 6 + stream.below(2);
    const side = 1.6 / cells;
    const squares = grid(cells, (x, y) =>
      (x + y) % 2 === 0
        ? `<rect x="${x * side - 0.8}" y="${y * side - 0.8}" width="${side}" height="${side}"/>`
        : '',
    );
    return `<g fill="${colour}">${squares}</g>`;
  },
  crescent: (stream, colour) => {
    const inner = stream.uniform(1.1, 1.3);
    return `<path fill="${colour}" transform="translate(0.4 0)" d="M 0 -1 A 1 1 0 0 0 0 1 A ${inner} ${inner} 0 0 1 0 -1 Z"/>`;
  },
  cross: (stream, colour) => {
    const arm = stream.uniform(0.11, 0.17);
    return `<path fill="${colour}" d="M -1 ${-arm} H ${-arm} V -1 H ${arm} V ${-arm} H 1 V ${arm} H ${arm} V 1 H ${-arm} V ${arm} H -1 Z"/>`;
  },
  disc: (stream, colour) => `<ellipse fill="${colour}" rx="0.95" ry="${stream.uniform(0.75, 0.95)}"/>`,
  dots: (stream, colour) => {
    const count = 3;
    const step = 1.8 / count;
    const radius = step * stream.uniform(0.28, 0.4);
    const dots = grid(count, (x, y) => {
      const [cx, cy] = [(x + 0.5) * step - 0.9, (y + 0.5) * step - 0.9];
      return `<circle cx="${cx}" cy="${cy}" r="${radius}"/>`;
    });
    return `<g fill="${colour}">${dots}</g>`;
  },
  ring: (stream, colour) => {
    const width = stream.uniform(0.16, 0.3);
    return `<circle fill="none" stroke="${colour}" stroke-width="${width}" r="${1 - width / 2}"/>`;
  },
  spiral: (stream, colour) => {
    const turns = stream.uniform(2.2, 2.8);
    const points = Array.from({ length: 81 }, (_, i) =>
      polar((i / 80) * 0.93, (i / 80) * turns * 2 * Math.PI),
    );
    const width = stream.uniform(0.13, 0.18);
    return `<polyline fill="none" stroke="${colour}" stroke-width="${width}" points="${points.join(' ')}"/>`;
  },
  star: (stream, colour) => {
    const rays = 7 + stream.below(3);
    const inner = stream.uniform(0.42, 0.54);
    const points = Array.from({ length: 2 * rays }, (_, i) =>
      polar(i % 2 === 0 ? 1 : inner, (i * Math.PI) / rays),
    );
    return `<polygon fill="${colour}" points="${points.join(' ')}"/>`;
  },
  stripes: (stream, colour) => {
    const count = 4 + stream.below(2);
    const step = 1.7 / count;
    const height = step * stream.uniform(0.42, 0.58);
    const bars = Array.from(
      { length: count },
      (_, i) =>
        `<rect x="-0.8" y="${i * step - 0.85 + (step - height) / 2}" width="1.6" height="${height}"/>`,
    );
    return `<g fill="${colour}">${bars.join('')}</g>`;
  },
  triangle: (_stream, colour) => {
    const points = [0, 1, 2].map((i) => polar(1, (i * 2 * Math.PI) / 3));
    return `<polygon fill="${colour}" points="${points.join(' ')}"/>`;
  },
};

function polar(radius: number, angle: number): string {
  return `${(radius * Math.sin(angle)).toFixed(4)},${(-radius * Math.cos(angle)).toFixed(4)}`;
}

function grid(count: number, cell: (x: number, y: number) => string): string {
  return Array.from({ length: count * count }, (_, i) => cell(i % count, Math.floor(i / count))).join('');
}
