/** How a client proves to a NATS server that it may connect. */
export type NatsLogin =
  | { readonly token: string }
  | { readonly user: string; readonly pass: string }
  | Record<string, never>;

/**
 * Variable of the environment that brings the token of a server whose URL has none: command lines are read by
 * everybody.
 */
export const natsTokenVariable = 'RONDO_NATS_TOKEN';

/**
 * Takes a NATS URL apart: nats://HOST:PORT, with TOKEN@ or USER:PASSWORD@ before the host as NATS's own tools
 * have it. What stands there wins over `token`; the address that remains may be shown.
 */
export function splitNatsUrl(
  text: string,
  token = '',
): { readonly address: string; readonly login: NatsLogin } {
  const url = new URL(text);
  const [user, pass] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  url.username = '';
  url.password = '';
  return { address: url.href.replace(/\/$/, ''), login: loginOf(user, pass, token) };
}

function loginOf(user: string, pass: string, token: string): NatsLogin {
  if (pass !== '') return { user, pass };
  if (user !== '') return { token: user };
  return token === '' ? {} : { token };
}

/** A command line's words, without what proves anything to a NATS server. */
export function hideNatsLogin(words: readonly string[]): string[] {
  return words.map((word) => word.replace(/\b(nats|tls):\/\/[^/\s]+@/g, '$1://***@'));
}
