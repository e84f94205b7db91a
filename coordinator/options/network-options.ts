import {
  type Arch,
  archs,
  type FloatType,
  floatTypes,
  type HeadKind,
  headKinds,
} from '../../plan/run-config.js';
import { isSampleFromScratch, planOption, trainingOption } from './option.js';
import { integer, oneOf, path, text } from './value-types.js';

const weights = path('a file of weights, "imagenet" or "none"', (name) => name === 'imagenet');
const size = { folder: 224, sample: 48 };

/** The network, and the weights that it begins with. */
export const networkOptions = {
  arch: planOption<Arch>({
    value: 'NAME',
    text: archs.join(', '),
    type: oneOf(archs),
    default: 'resnet34',
    title: 'Network',
  }),
  size: planOption<number>({
    value: 'PIXELS',
    text: "side of the network's input",
    type: integer(32, 1024),
    default: ({ data }) => (data === 'sample' ? size.sample : size.folder),
    defaultText: `${size.folder}; sample: ${size.sample}`,
    title: 'Input',
    show: (side) => `${side} × ${side} px`,
  }),
  /** Absolute path of a file of weights, 'imagenet', or null. */
  pretrained: trainingOption<string | null>({
    value: 'FILE|imagenet|none',
    text:
      "weights to begin with: imagenet fetches torchvision's for --arch, once; FILE is a safetensors file or a PyTorch " +
      'checkpoint (.pth) with its names, under any prefix or key',
    type: { ...weights, read: (value) => (value === 'none' ? null : weights.read(value)) },
    default: null,
    defaultText: 'none, from scratch',
  }),
  /** The run or checkpoint to start from, as it was given. */
  from: trainingOption<string | null>({
    value: 'RUN|CHECKPOINT',
    text:
      'weights to begin with: those of another run, such as runs/first-try/checkpoints/stage-1, or its best ones; ' +
      'the head too, when the classes are the same',
    type: text('a run, or the folder of a checkpoint'),
    default: null,
    defaultText: 'none',
  }),
  head: planOption<HeadKind>({
    value: 'KIND',
    text:
      "fastai's head of two linear layers; or linear, torchvision's single one, which an ImageNet file fills only where " +
      'the classes are as many',
    type: oneOf(headKinds),
    default: (settled) => (isSampleFromScratch(settled) ? 'linear' : 'fastai'),
    defaultText: 'that of --from, else fastai; sample: linear',
    title: 'Head',
  }),
  precision: planOption<FloatType>({
    value: 'TYPE',
    text: 'what the network computes in: float32 or bfloat16',
    type: oneOf(floatTypes),
    default: 'float32',
    title: 'Computed in',
  }),
};
