import type { Samples } from '../../runtime/storage/sample-columns.js';
import type { StoredShard } from '../../runtime/storage/shard-arrival.js';
import type { Quarantined } from './image-files.js';
import type { DataRemark } from './remarks.js';
import type { SetName } from './set-column.js';
import type { GivenSplit, SplitKind } from './split.js';
import type { VerificationHelpers } from './verify.js';

export interface IndexOptions {
  /** A folder, packed images (folder, index or URL), or 'sample' for the data set that Rondo draws itself. */
  readonly data: string;
  /**
   * Regular expression with one capture group, matched against '/' + relative path; the parent folder's name
   * by default.
   */
  readonly labelPattern?: string;
  /** CSV file with paths and labels, in place of both; images that it does not name are left out. */
  readonly labelsFile?: string;
  /** Folder of images to validate on, in place of a share of `data`. */
  readonly validDir?: string;
  /** `auto` by default. */
  readonly split?: SplitKind;
  /** Of packed images, above 0: the training samples are listed shard after shard. */
  readonly shuffleWindow?: number;
  /** Leaves unusable images out however many they are. */
  readonly skipBroken?: boolean;
  readonly cacheDir: string;
  /** Phases: 'drawing' (sample only), 'listing' (total 0: not known), 'reading' (a long table), 'verifying'. */
  onProgress(progress: DatasetProgress): void;
  /**
   * Called with all images that are left out as unusable, before it is decided whether they are too many.
   */
  onQuarantined?(files: readonly Quarantined[]): void;
  readonly signal: AbortSignal;
  /** Asked for help where many files are to be decoded; nobody unless given. */
  readonly helpers?: VerificationHelpers | undefined;
}

export interface DatasetProgress {
  readonly phase: 'drawing' | 'listing' | 'reading' | 'verifying';
  /** What it is done to; images when it does not say. */
  readonly subject?: string;
  /** What `done` and `total` count; images when it does not say. */
  readonly unit?: 'bytes';
  readonly done: number;
  readonly total: number;
}

/** The images of a data set that can be used, before it is decided which of them validate. */
export interface IndexedImages {
  /** A folder; of packed images maybe a URL. */
  readonly root: string;
  /** Folder that the paths of images of the set `valid` are relative to. */
  readonly validRoot: string;
  /** The files there that hold packed images; none where each image is a file. */
  readonly shards: readonly StoredShard[];
  readonly classes: readonly string[];
  /** Their positions are the ids that a split is made of. */
  readonly images: Samples;
  /** By position, the set that an image's folder or its line in the table puts it into. */
  readonly sets: readonly (SetName | undefined)[];
  /** What gives the validation set: the images of the set `valid`; null when it is to be drawn. */
  readonly validation: GivenSplit | null;
  readonly quarantined: readonly Quarantined[];
  readonly remarks: readonly DataRemark[];
}
