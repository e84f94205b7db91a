import { join } from 'node:path';
import type { Arch } from '../../plan/run-config.js';
import { type DownloadProgress, downloadFile, urlOf } from '../download/download.js';

/**
 * torchvision's IMAGENET1K_V1 weights (torchvision/models/resnet.py). ResNet50 and larger have a V2 too,
 * trained by another recipe; V1 is what fastai's lesson was taught with. A name ends in the first 8 digits of
 * the file's SHA-256.
 */
const imagenetFiles: Readonly<Record<Arch, string>> = {
  resnet18: 'resnet18-f37072fd.pth',
  resnet34: 'resnet34-b627a593.pth',
  resnet50: 'resnet50-0676ba61.pth',
  resnet101: 'resnet101-63fe2227.pth',
  resnet152: 'resnet152-394f9c45.pth',
};

const publisher = 'https://download.pytorch.org/models';

export interface WeightsOptions {
  /** The file lies in its sub-folder `weights`. */
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  onProgress(progress: DownloadProgress): void;
  /** File names by architecture, in place of torchvision's. */
  readonly files?: Readonly<Record<Arch, string>>;
}

/**
 * The path of torchvision's ImageNet weights of `arch`, a PyTorch checkpoint: fetched once, from
 * RONDO_WEIGHTS_URL when that is set. Throws what `downloadFile` throws.
 */
export async function fetchImagenetWeights(arch: Arch, o: WeightsOptions): Promise<string> {
  const name = (o.files ?? imagenetFiles)[arch];
  return downloadFile({
    url: urlOf(name, `${publisher}/${name}`, 'RONDO_WEIGHTS_URL'),
    file: join(o.cacheDir, 'weights', name),
    sha256Prefix: digestIn(name),
    signal: o.signal,
    onProgress: o.onProgress,
  });
}

/** As torch.hub reads it: the hex digits between the last hyphen and the ending. */
function digestIn(name: string): string {
  return name.slice(name.lastIndexOf('-') + 1, name.lastIndexOf('.'));
}
