import { openStream, type RandomStream } from '../../plan/random.js';
import type { ShapeDrawer } from './sample-shapes.js';

/** What one picture of the sample set is made of. */
export interface SamplePicture {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly svg: string;
  /** Standard deviation of the noise to add, in grey levels of 256. */
  readonly noise: number;
  /** Where in the noise tile to start. */
  readonly noiseOffset: number;
  readonly jpegQuality: number;
}

/** Hue in degrees, saturation and lightness in percent. */
type Colour = readonly [hue: number, saturation: number, lightness: number];

/** The sample set's own seed: it is the same whatever a run's seed is. */
const seed = 20_260_214;
/** Lightness by which a shape stands out from its ground, in percent. */
const minContrast = 32;
/** Degrees that a shape is turned to either side. */
const maxAngle = 30;

/**
 * Picture `index` of class `label`: the class's shape at a random place, size, angle and colour, on a
 * gradient with clutter. Colours do not depend on the class. A pure function of its arguments.
 */
export function composePicture(label: number, index: number, draw: ShapeDrawer): SamplePicture {
  const stream = openStream(seed, 'augmentation', label, index);
  const width = 160 + stream.below(41);
  const height = 160 + stream.below(41);
  const ground = pickColour(stream, 15, 85, 45);
  const shape = pickShapeColour(stream, ground[2]);
  const radius = Math.min(width, height) * stream.uniform(0.3, 0.43);
  const x = width / 2 + stream.uniform(-1, 1) * (width / 2 - radius) * 0.6;
  const y = height / 2 + stream.uniform(-1, 1) * (height / 2 - radius) * 0.6;
  const angle = stream.uniform(-maxAngle, maxAngle);
  const stretch = stream.uniform(0.88, 1);
  const svg = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">`,
    gradient(stream, ground, width, height),
    clutter(stream, ground, width, height),
    `<g transform="translate(${x} ${y}) rotate(${angle}) scale(${radius} ${radius * stretch})">`,
    draw(stream, css(shape)),
    '</g></svg>',
  ].join('');
  const noise = stream.uniform(4, 12);
  return { width, height, svg, noise, noiseOffset: stream.uint32(), jpegQuality: 75 + stream.below(18) };
}

function gradient(stream: RandomStream, [hue, saturation, lightness]: Colour, width: number, height: number) {
  const shift = stream.uniform(-9, 9);
  const stops = [lightness - shift, lightness + shift].map(
    (value, i) => `<stop offset="${i}" stop-color="${css([hue + 12 * i, saturation, value])}"/>`,
  );
  const direction = `gradientTransform="rotate(${stream.uniform(0, 360)} .5 .5)"`;
  return `<linearGradient id="g" ${direction}>${stops.join('')}</linearGradient><rect width="${width}" height="${height}" fill="url(#g)"/>`;
}

/** Faint marks that are no class: strokes, bent lines and flecks. */
function clutter(stream: RandomStream, ground: Colour, width: number, height: number): string {
  const marks = Array.from({ length: 4 + stream.below(7) }, () => {
    const colour = css(pickColour(stream, Math.max(5, ground[2] - 30), Math.min(95, ground[2] + 30), 70));
    const [x, y] = [stream.unit() * width, stream.unit() * height];
    const reach = () => stream.uniform(-45, 45);
    const opacity = stream.uniform(0.25, 0.6);
    if (stream.unit() < 0.4) {
      const size = stream.uniform(2, 7);
      return `<ellipse cx="${x}" cy="${y}" rx="${size}" ry="${size * stream.uniform(0.5, 1.5)}" fill="${colour}" opacity="${opacity}"/>`;
    }
    const bend = `q ${reach()} ${reach()} ${reach()} ${reach()}`;
    return `<path d="M ${x} ${y} ${bend}" fill="none" stroke="${colour}" stroke-width="${stream.uniform(1, 4)}" opacity="${opacity}"/>`;
  });
  return marks.join('');
}

function pickColour(stream: RandomStream, low: number, high: number, maxSaturation: number): Colour {
  return [stream.uniform(0, 360), stream.uniform(0, maxSaturation), stream.uniform(low, high)];
}

function pickShapeColour(stream: RandomStream, ground: number): Colour {
  const room = { below: ground - minContrast - 3, above: 97 - ground - minContrast };
  // Either side in proportion to its room, so that light shapes are as common as dark ones.
  const at = stream.uniform(-Math.max(0, room.below), Math.max(0, room.above));
  const lightness = at < 0 ? ground - minContrast + at : ground + minContrast + at;
  return [stream.uniform(0, 360), stream.uniform(30, 95), lightness];
}

function css([hue, saturation, lightness]: Colour): string {
  return `hsl(${(((hue % 360) + 360) % 360).toFixed(1)},${saturation.toFixed(1)}%,${lightness.toFixed(1)}%)`;
}
