import { Agent as HttpAgent, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import { Agent as HttpsAgent, request as requestSecure } from 'node:https';

/** Connections to one server that are open at a time. */
const maxSockets = 48;

/**
 * Kept open for the next request. Proxies that the environment names are not asked: whoever needs one for the
 * store names it in the URL.
 */
const agents = {
  'http:': new HttpAgent({ keepAlive: true, maxSockets }),
  'https:': new HttpsAgent({ keepAlive: true, maxSockets }),
};

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/** How long a connection may be silent, and who may end it. */
export interface ExchangeOptions {
  readonly stallMs: number;
  readonly signal?: AbortSignal | undefined;
}

const maxRedirects = 5;

/**
 * One request and the head of its answer, whose body must be read or destroyed: an unread one keeps its
 * connection. Redirects are followed; another server than the one that was asked is told nothing that proves who
 * asks. Rejects with what the connection's end says; so does the body.
 */
export async function exchange(asked: HttpRequest, o: ExchangeOptions): Promise<IncomingMessage> {
  let { url, headers } = asked;
  for (let redirects = 0; ; redirects += 1) {
    const response = await send({ ...asked, url, headers }, o);
    const { statusCode = 0, headers: answered } = response;
    if (![301, 302, 303, 307, 308].includes(statusCode) || answered.location === undefined) return response;
    // A bucket's requests are signed for a region: that one is told instead.
    if (answered['x-amz-bucket-region'] !== undefined) return response;
    response.destroy();
    if (redirects === maxRedirects) throw new Error(`it redirects more than ${maxRedirects} times`);
    const next = new URL(answered.location, url);
    if (next.origin !== url.origin) headers = withoutProof(headers);
    url = next;
  }
}

function withoutProof(headers: HttpRequest['headers']): HttpRequest['headers'] {
  const kept = Object.entries(headers).filter(
    ([name]) => !/^(authorization|cookie|host|x-amz-.*)$/i.test(name),
  );
  return Object.fromEntries(kept);
}

function send({ method, url, headers, body }: HttpRequest, o: ExchangeOptions): Promise<IncomingMessage> {
  const isSecure = url.protocol === 'https:';
  if (!isSecure && url.protocol !== 'http:') throw new Error(`it redirects to ${url.protocol}//`);
  const options = {
    method,
    headers: { ...headers, ...lengthOf(body) } satisfies OutgoingHttpHeaders,
    agent: agents[isSecure ? 'https:' : 'http:'],
    signal: o.signal,
    timeout: o.stallMs,
  };
  return new Promise((resolve, reject) => {
    const sent = isSecure ? requestSecure(url, options) : request(url, options);
    sent.on('timeout', () => sent.destroy(new Error(`nothing arrived for ${o.stallMs / 1_000} s`)));
    sent.on('error', reject);
    sent.on('response', (response) => {
      // The socket's silence ends the request, which the body's reader hears of.
      sent.off('error', reject).on('error', (error) => response.destroy(error));
      resolve(response);
    });
    sent.end(body);
  });
}

function lengthOf(body: Uint8Array | undefined): OutgoingHttpHeaders {
  return body === undefined ? {} : { 'content-length': body.length };
}

/** The text of an answer that says why something was refused; its first part alone. */
export async function readText(response: IncomingMessage, most = 16_384): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  try {
    for await (const part of response) {
      text += part as string;
      if (text.length > most) break;
    }
  } catch {
    // What has arrived says what it says.
  }
  response.destroy();
  return text.slice(0, most);
}
