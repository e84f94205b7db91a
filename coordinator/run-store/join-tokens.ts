import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeDurably } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { parseJson } from '../../runtime/parse-json.js';
import { readLines } from './line-file.js';

const tokenSchema = z.object({
  id: z.string(),
  /** SHA-256 of the secret, in hex: whoever reads the file cannot join with it. */
  secretDigest: z.string(),
  createdAtMs: z.number(),
  expiresAtMs: z.number(),
  /** How many certificates it buys; null for any number. */
  uses: z.int().nullable(),
  revokedAtMs: z.number().nullable(),
  /** A start of the run made and printed it, and no command. */
  ofStart: z.boolean().default(false),
  /** Who it is for: a worker that joins the run, or an operator who asks it from another machine. */
  role: z.enum(['worker', 'operator']).default('worker'),
});

/** What a token is worth. The token itself, ID.SECRET, is shown once and kept nowhere. */
export type JoinToken = Readonly<z.infer<typeof tokenSchema>>;

export type TokenRole = JoinToken['role'];

const idLetters = 'abcdefghijklmnopqrstuvwxyz0123456789';
const idLength = 6;
const secretBytes = 24;
const tokenPattern = /^([a-z0-9]{6})\.([\w-]{32})$/;
export const defaultTokenMs = 24 * 60 * 60 * 1000;

/** A new token: what is given to workers, and what is kept of it. */
export function makeToken(o: {
  readonly lifetimeMs: number;
  readonly uses: number | null;
  /** A worker's unless given. */
  readonly role?: TokenRole;
}): {
  readonly token: string;
  readonly record: JoinToken;
} {
  const id = Array.from({ length: idLength }, () => idLetters[randomInt(idLetters.length)]).join('');
  const secret = randomBytes(secretBytes).toString('base64url');
  const now = Date.now();
  const record = {
    ...{ id, secretDigest: digest(secret).toString('hex'), createdAtMs: now },
    ...{ expiresAtMs: now + o.lifetimeMs, uses: o.uses, revokedAtMs: null, ofStart: false },
    role: o.role ?? 'worker',
  };
  return { token: `${id}.${secret}`, record };
}

/**
 * What is kept of a token that somebody else made, such as a chart's Secret: for any number of workers, until it is
 * revoked.
 *
 * @throws RondoError invalid-argument for what is no token; the message does not repeat it.
 */
export function recordToken(token: string): JoinToken {
  const [, id, secret] = tokenPattern.exec(token) ?? [];
  if (id === undefined || secret === undefined) {
    throw new RondoError('invalid-argument', 'that is not a token to join with', {
      remedy: 'make one of six small letters and digits, a dot, and 32 letters, digits, - and _',
    });
  }
  const secretDigest = digest(secret).toString('hex');
  const times = { createdAtMs: Date.now(), expiresAtMs: Number.MAX_SAFE_INTEGER, revokedAtMs: null };
  return { id, secretDigest, uses: null, ofStart: false, role: 'worker', ...times };
}

/** Whether a text has the form of a token: ID.SECRET. */
export function isToken(text: string): boolean {
  return tokenPattern.test(text);
}

/** The record of a token that is whole and right; undefined for any other, which is all that is said of it. */
export function findToken(records: readonly JoinToken[], token: string): JoinToken | undefined {
  const [, id, secret] = tokenPattern.exec(token) ?? [];
  if (id === undefined || secret === undefined) return undefined;
  const given = digest(secret);
  return records.find(
    (record) => record.id === id && timingSafeEqual(Buffer.from(record.secretDigest, 'hex'), given),
  );
}

/** Writes a token's record into the folder of a run's tokens, which only this user may enter. */
export async function writeToken(folder: string, record: JoinToken): Promise<void> {
  makeFolder(folder, { mode: 0o700 });
  await writeDurably(join(folder, `${record.id}.json`), [`${JSON.stringify(record)}\n`]);
}

/** All tokens of a run, oldest first; none where there is no such folder. */
export function readTokens(folder: string): JoinToken[] {
  const names = namesIn(folder).filter((name) => /^[a-z0-9]{6}\.json$/.test(name));
  return names
    .map((name) => {
      const path = join(folder, name);
      return parseJson(tokenSchema, readFileSync(path, 'utf8'), { name: path });
    })
    .sort((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
}

/**
 * The token is worth nothing any more, and who has joined with it must go.
 *
 * @param id as `readTokens` has it, or the whole token.
 * @throws RondoError not-found.
 */
export async function revokeToken(folder: string, id: string): Promise<JoinToken> {
  const wanted = id.split('.')[0]!;
  const record = readTokens(folder).find((each) => each.id === wanted);
  if (record === undefined) {
    throw new RondoError('not-found', `the run has no token ${wanted}`, {
      remedy: '`coordinator token list` shows those that it has',
    });
  }
  const revoked = { ...record, revokedAtMs: record.revokedAtMs ?? Date.now() };
  await writeToken(folder, revoked);
  return revoked;
}

/**
 * Removes the tokens with which nobody has joined that have expired, or that an earlier start of the run made: the
 * next start prints another one.
 */
export async function removeIdleTokens(identity: string): Promise<void> {
  const joined = new Set((await readIssued(identity)).map(({ tokenId }) => tokenId));
  const folder = tokensFolder(identity);
  for (const { id, ofStart, expiresAtMs } of readTokens(folder)) {
    const isIdle = !joined.has(id) && (ofStart || expiresAtMs <= Date.now());
    if (isIdle) rmSync(join(folder, `${id}.json`), { force: true });
  }
}

const reachSchema = z.object({
  address: z.string(),
  hash: z.string(),
  /** Workers join with tokens: not those that bring certificates of the user's own authority. */
  joins: z.boolean().default(true),
});

/** Where a run's coordinator is reached, and the hash of its authority: what a token is worth nothing without. */
export type Reach = Readonly<z.infer<typeof reachSchema>>;

export async function writeReach(identity: string, reach: Reach): Promise<void> {
  makeFolder(identity, { mode: 0o700 });
  await writeDurably(join(identity, 'reach.json'), [`${JSON.stringify(reach)}\n`]);
}

/** @throws RondoError failed-precondition for a run that other machines do not reach. */
export function readReach(identity: string): Reach {
  const path = join(identity, 'reach.json');
  if (existsSync(path)) return parseJson(reachSchema, readFileSync(path, 'utf8'), { name: path });
  throw new RondoError('failed-precondition', 'no other machine reaches this run with a token', {
    remedy: 'start or resume it with --listen HOST:PORT of an address that other machines reach',
  });
}

/** The tokens of a run in its folder of identity. */
export function tokensFolder(identity: string): string {
  return join(identity, 'tokens');
}

const issuedSchema = z.object({
  serial: z.string(),
  workerId: z.string(),
  /** Of the token that the worker joined with. */
  tokenId: z.string(),
  expiresAtMs: z.number(),
  /** False for a certificate that took another one's place. */
  bought: z.boolean(),
});

/** A certificate that a run's authority has given. */
export type IssuedCertificate = Readonly<z.infer<typeof issuedSchema>>;

export function issuedFile(identity: string): string {
  return join(identity, 'issued.jsonl');
}

/** Oldest first; none where there is no such file. */
export async function readIssued(identity: string): Promise<IssuedCertificate[]> {
  const path = issuedFile(identity);
  if (!existsSync(path)) return [];
  const issued: IssuedCertificate[] = [];
  for await (const each of readLines(path, issuedSchema)) issued.push(each);
  return issued;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw RondoError.from(error);
  }
}

function digest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
