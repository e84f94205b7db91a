import type { Arch, HeadKind, Trainable } from '../../plan/run-config.js';
import { type ConvSpec, describeBody } from './architecture.js';

/** Width of the head's hidden layer (fastai's default). */
export const hiddenFeatures = 512;

export interface ParameterSpec {
  readonly name: string;
  /** In PyTorch's layout: OIHW, or [out, in]. */
  readonly shape: readonly number[];
  /** Layer group: 0 stem to layer2, 1 layer3 and layer4, 2 head. */
  readonly group: number;
  /** In which part of the backward pass its gradient becomes known: 0 the head and layer4, 1 layer3, 2 the rest. */
  readonly part: 0 | 1 | 2;
  /** Trained when the body is frozen: the head and every batch norm. */
  readonly inFrozen: boolean;
}

export interface NormSpec {
  readonly name: string;
  readonly channels: number;
}

export interface NetworkSpec {
  /** In the order of PyTorch's named_parameters(). */
  readonly parameters: readonly ParameterSpec[];
  /** Batch norms in the order of the forward pass's listing. */
  readonly norms: readonly NormSpec[];
}

/**
 * Parameters and batch norms of a body with fastai's head (vision/learner.py, create_head), or with a linear
 * one, which makes it torchvision's network, `fc` and all.
 */
export function describeNetwork(arch: Arch, classes: number, kind: HeadKind = 'fastai'): NetworkSpec {
  const body = describeBody(arch);
  const parameters: ParameterSpec[] = [];
  const norms: NormSpec[] = [];
  const addNorm = (name: string, channels: number, place: Place) => {
    norms.push({ name, channels });
    parameters.push({ name: `${name}.weight`, shape: [channels], ...place, inFrozen: true });
    parameters.push({ name: `${name}.bias`, shape: [channels], ...place, inFrozen: true });
  };
  const addConv = ({ name, norm, side, input, output }: ConvSpec, place: Place) => {
    parameters.push({
      name: `${name}.weight`,
      shape: [output, input, side, side],
      ...place,
      inFrozen: false,
    });
    addNorm(norm, output, place);
  };
  const addLinear = (name: string, input: number, output: number) => {
    parameters.push({ name: `${name}.weight`, shape: [output, input], ...head, inFrozen: true });
    parameters.push({ name: `${name}.bias`, shape: [output], ...head, inFrozen: true });
  };

  addConv(body.stem, layers[0]);
  body.blockGroups.forEach(({ blocks }, index) => {
    for (const { convs, projection } of blocks) {
      for (const conv of projection === null ? convs : [...convs, projection]) addConv(conv, layers[index]!);
    }
  });
  if (kind === 'linear') {
    addLinear('fc', body.features, classes);
  } else {
    addNorm('head.2', 2 * body.features, head);
    addLinear('head.4', 2 * body.features, hiddenFeatures);
    addNorm('head.6', hiddenFeatures, head);
    addLinear('head.8', hiddenFeatures, classes);
  }
  return { parameters, norms };
}

type Place = Pick<ParameterSpec, 'group' | 'part'>;

const head: Place = { group: 2, part: 0 };

/** Of layer1 to layer4; the stem is where layer1 is. */
const layers: readonly [Place, ...Place[]] = [
  { group: 0, part: 2 },
  { group: 0, part: 2 },
  { group: 1, part: 1 },
  { group: 1, part: 0 },
];

/** Whether a parameter is trained. */
export function isTrained({ inFrozen }: Pick<ParameterSpec, 'inFrozen'>, trainable: Trainable): boolean {
  return trainable === 'all' || inFrozen;
}

/** Number of values of a shape. */
export function volume(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
