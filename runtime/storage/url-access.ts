import { RondoError } from '../errors.js';
import { maskUrls } from '../mask-urls.js';
import { isUrl, schemeOf } from './store.js';

/**
 * Whole URLs, with blanks between them, whose users, passwords and queries are sent to what lies below them. What
 * the command line gives is put here too: processes that are started by this one read as it does.
 */
export const accessVariable = 'RONDO_DATA_ACCESS';

/**
 * A URL as it may be shown and stored: without user, password, query and fragment. What it had of them is
 * remembered for `accessUrl`, in this process and those that it starts, and nowhere else. Other places are
 * returned as they are.
 *
 * @throws RondoError invalid-argument for a bucket's URL with credentials in it.
 */
export function publicUrl(place: string): string {
  if (!isUrl(place)) return place;
  if (!isWeb(place)) return withoutLogin(place);
  if (!URL.canParse(place)) return maskUrls(place);
  const { origin, pathname, username, password, search } = new URL(place);
  if (username !== '' || password !== '' || search !== '') {
    const others = remembered().filter((url) => url !== place);
    process.env[accessVariable] = [...others, encodeBlanks(place)].join(' ');
  }
  return `${origin}${pathname}`;
}

/** A place as it is asked for: with the user, password and query that are known for it, or a folder above it. */
export function accessUrl(place: string): string {
  if (!isUrl(place) || !isWeb(place) || !URL.canParse(place)) return place;
  const asked = new URL(place);
  if (asked.username !== '' || asked.password !== '' || asked.search !== '') return place;
  const folder = folderOf(asked);
  const [best] = remembered()
    .filter((url) => URL.canParse(url))
    .map((url) => new URL(url))
    .filter((url) => url.origin === asked.origin && isWithin(folder, url))
    // The nearest, of those the latest.
    .sort((a, b) => a.pathname.length - b.pathname.length)
    .slice(-1);
  if (best === undefined) return place;
  const { username, password, search } = best;
  return Object.assign(asked, { username, password, search }).href;
}

function remembered(): string[] {
  return (process.env[accessVariable] ?? '').split(/\s+/).filter((url) => url !== '');
}

/** Whether what is known for `url`, a folder or a file in it, is meant for `folder` too. */
function isWithin(folder: string, url: URL): boolean {
  return folder.startsWith(folderOf(url)) || folderOf(url).replace(/[^/]*\/$/, '') === folder;
}

function folderOf({ pathname }: URL): string {
  return pathname.replace(/\/*$/, '/');
}

function encodeBlanks(url: string): string {
  return url.trim().replace(/\s/g, encodeURIComponent);
}

function isWeb(place: string): boolean {
  return ['http', 'https'].includes(schemeOf(place)!);
}

function withoutLogin(place: string): string {
  if (!/^[^/]+:\/\/[^/]*@/.test(place)) return place;
  throw new RondoError('invalid-argument', `${maskUrls(place)} has credentials in it`, {
    remedy:
      'leave them out; credentials for s3:// come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws, or the machine',
  });
}
