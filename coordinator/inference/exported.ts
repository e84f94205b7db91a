export const exportFormats = ['saved-model', 'safetensors'] as const;
export type ExportFormat = (typeof exportFormats)[number];

export interface Exported {
  readonly directory: string;
  /** The network's own file, in it. */
  readonly file: string;
  readonly bytes: number;
  /** SHA-256 of the file. */
  readonly digest: string;
  readonly parameters: number;
}
