import { RondoError } from '../../runtime/errors.js';

/**
 * Where to fetch a file: under the mirror that the environment variable names, else at its publisher. A
 * mirror is a folder of files with the names that they have in Rondo's cache.
 *
 * @throws RondoError invalid-argument when the variable holds no http or https URL.
 */
export function urlOf(file: string, publisher: string, variable: string): string {
  const base = process.env[variable];
  if (base === undefined || base === '') return publisher;
  if (!URL.canParse(base) || !/^https?:$/.test(new URL(base).protocol)) {
    throw new RondoError('invalid-argument', `${variable} is "${base}", which is not a web address`, {
      remedy: `set ${variable} to something like https://mirror.example/files, or unset it`,
    });
  }
  return `${base.replace(/\/+$/, '')}/${file}`;
}
