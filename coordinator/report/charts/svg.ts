import sharp from 'sharp';
import { withSvg } from '../../../runtime/images.js';
import { printableLines } from '../../../runtime/printable.js';

/** What all charts look like; lengths in pixels. */
export const style = {
  font: "Inter, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif",
  ink: '#1f2937',
  quiet: '#6b7280',
  grid: '#e5e7eb',
  faintGrid: '#f3f4f6',
  paper: '#ffffff',
  titleSize: 17,
  labelSize: 13,
  tickSize: 12,
} as const;

/** Colours of series, told apart by colour-blind readers too (after Okabe and Ito), in the order of use. */
export const seriesColors = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'] as const;

/** A piece of a drawing, or any number of them. */
export type Drawn = string | readonly string[];

type Attributes = Readonly<Record<string, string | number | undefined>>;

/**
 * One element as text; attributes that are undefined are left out, numbers are rounded to hundredths of a
 * pixel.
 */
export function element(name: string, attributes: Attributes, ...children: readonly Drawn[]): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? round(value) : escapeText(value!)}"`)
    .join('');
  return children.length === 0
    ? `<${name}${written}/>`
    : `<${name}${written}>${children.flat().join('')}</${name}>`;
}

export interface TextStyle {
  readonly size?: number;
  readonly color?: string;
  readonly weight?: number;
  readonly anchor?: 'start' | 'middle' | 'end';
  /** Degrees, clockwise, around the text's own position. */
  readonly rotate?: number;
}

/** Words whose baseline begins, centres or ends at (x, y). */
export function drawText(x: number, y: number, words: string, o: TextStyle = {}): string {
  const attributes = {
    x,
    y,
    fill: o.color ?? style.ink,
    'font-size': o.size ?? style.labelSize,
    'font-weight': o.weight,
    'text-anchor': o.anchor,
    transform: o.rotate === undefined ? undefined : `rotate(${o.rotate} ${round(x)} ${round(y)})`,
  };
  return element('text', attributes, escapeText(words));
}

/** A whole drawing on white paper; `title` is what a screen reader says. */
export function svgDocument(
  { width, height, title }: { width: number; height: number; title: string },
  ...children: readonly Drawn[]
): string {
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'font-family': style.font,
    },
    element('title', {}, escapeText(title)),
    element('rect', { width, height, fill: style.paper }),
    ...children,
  );
}

/** Also safe inside HTML. XML knows no way at all to write most control characters. */
export function escapeText(text: string): string {
  return printableLines(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** A coordinate as SVG writes it. */
export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** At which librsvg draws one pixel per pixel. */
const naturalDensity = 72;

/** An SVG drawing as PNG, `pixelRatio` pixels per pixel of the drawing. */
export async function renderPng(svg: string, pixelRatio = 2): Promise<Buffer> {
  const options = { density: naturalDensity * pixelRatio, limitInputPixels: false };
  return withSvg(() => sharp(Buffer.from(svg), options).png({ compressionLevel: 9 }).toBuffer());
}
