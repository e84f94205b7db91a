import { RondoError } from '../../../runtime/errors.js';

/** The file is not what was written: it is cut short or bytes have changed. */
export function damaged(file: string, why: string): RondoError {
  return new RondoError('data-loss', `${file} is damaged: ${why}.`, {
    remedy: 'Take another copy of the file.',
  });
}

/** The file is whole, but holds what Rondo does not read. */
export function unsuitable(
  file: string,
  why: string,
  remedy = 'Save the weights alone: torch.save(model.state_dict(), FILE), or as safetensors.',
): RondoError {
  return new RondoError('invalid-argument', `${file} cannot be read: ${why}.`, { remedy });
}
