import { RondoError } from '../errors.js';
import { maskUrls } from '../mask-urls.js';
import { openBucket } from './bucket.js';
import { openFolder } from './folder.js';
import { type Store, type StoreOptions, schemeOf } from './store.js';
import { openWebFolder } from './web-folder.js';

type OpenStore = (place: string, o: StoreOptions) => Store;

/** What opens a place, by the scheme of its URL. */
const schemes: Readonly<Record<string, OpenStore>> = {
  http: openWebFolder,
  https: openWebFolder,
  s3: openBucket,
};

/** Opens a folder, or the files under a URL. Throws invalid-argument for a scheme that is not known. */
export function openStore(place: string, o: StoreOptions = {}): Store {
  const scheme = schemeOf(place);
  if (scheme === undefined) return openFolder(place, o);
  const open = Object.hasOwn(schemes, scheme) ? schemes[scheme] : undefined;
  if (open !== undefined) return open(place, o);
  const known = Object.keys(schemes).map((name) => `${name}://`);
  throw new RondoError('invalid-argument', `${maskUrls(place)} begins with ${scheme}://, which is not read`, {
    remedy: `give a folder${known.length === 0 ? '' : `, or a URL that begins with ${known.join(', ')}`}`,
  });
}
