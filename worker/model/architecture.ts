import type { Arch } from '../../plan/run-config.js';

/** One convolution of a body, named as in torchvision; a batch norm follows each. */
export interface ConvSpec {
  readonly name: string;
  readonly norm: string;
  readonly side: number;
  readonly stride: number;
  readonly input: number;
  readonly output: number;
}

/** Convolutions in a row; their sum with the input, or with its projection, ends in a ReLU. */
export interface BlockSpec {
  readonly name: string;
  readonly convs: readonly ConvSpec[];
  /** What brings the input to the result's shape, where the two differ. */
  readonly projection: ConvSpec | null;
}

export interface BodySpec {
  readonly stem: ConvSpec;
  readonly blockGroups: readonly { readonly name: string; readonly blocks: readonly BlockSpec[] }[];
  /** Channels of what the body gives. */
  readonly features: number;
}

const depths: Record<Arch, { readonly blocks: readonly number[]; readonly bottleneck: boolean }> = {
  resnet18: { blocks: [2, 2, 2, 2], bottleneck: false },
  resnet34: { blocks: [3, 4, 6, 3], bottleneck: false },
  resnet50: { blocks: [3, 4, 6, 3], bottleneck: true },
  resnet101: { blocks: [3, 4, 23, 3], bottleneck: true },
  resnet152: { blocks: [3, 8, 36, 3], bottleneck: true },
};

/**
 * A ResNet's body as torchvision/models/resnet.py lays it out (v1.5: a bottleneck strides in its 3×3
 * convolution).
 */
export function describeBody(arch: Arch): BodySpec {
  const { blocks: counts, bottleneck } = depths[arch];
  const expansion = bottleneck ? 4 : 1;
  let channels = 64;
  const blockGroups = counts.map((count, index) => {
    const name = `layer${index + 1}`;
    const width = 64 * 2 ** index;
    const blocks = Array.from({ length: count }, (_, position) => {
      const stride = index > 0 && position === 0 ? 2 : 1;
      const block = describeBlock(`${name}.${position}`, { input: channels, width, stride, bottleneck });
      channels = width * expansion;
      return block;
    });
    return { name, blocks };
  });
  const stem = { name: 'conv1', norm: 'bn1', side: 7, stride: 2, input: 3, output: 64 };
  return { stem, blockGroups, features: channels };
}

function describeBlock(
  name: string,
  { input, width, stride, bottleneck }: { input: number; width: number; stride: number; bottleneck: boolean },
): BlockSpec {
  const conv = (index: number, side: number, step: number, from: number, to: number): ConvSpec => ({
    name: `${name}.conv${index}`,
    norm: `${name}.bn${index}`,
    side,
    stride: step,
    input: from,
    output: to,
  });
  const output = bottleneck ? 4 * width : width;
  const convs = bottleneck
    ? [conv(1, 1, 1, input, width), conv(2, 3, stride, width, width), conv(3, 1, 1, width, output)]
    : [conv(1, 3, stride, input, width), conv(2, 3, 1, width, width)];
  const projects = stride !== 1 || input !== output;
  const [projection, norm] = [`${name}.downsample.0`, `${name}.downsample.1`];
  return {
    name,
    convs,
    projection: projects ? { name: projection, norm, side: 1, stride, input, output } : null,
  };
}
