/** In place of what is secret. */
const mask = '***';

/**
 * Text without what the URLs in it prove their holder's rights by: users, passwords, and queries, which may be
 * signatures. For command lines and messages; a greedy pattern, as passwords may hold any character.
 */
export function maskUrls(text: string): string {
  return text.replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s"'<>]+/gi, (url, scheme: string) => {
    const rest = url.slice(scheme.length);
    const at = rest.lastIndexOf('@');
    const query = rest.indexOf('?', at + 1);
    const shown = query < 0 ? rest.slice(at + 1) : `${rest.slice(at + 1, query)}?${mask}`;
    return `${scheme}${at < 0 ? '' : `${mask}@`}${shown}`;
  });
}
