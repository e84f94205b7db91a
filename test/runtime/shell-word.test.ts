import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { shellWord } from '../../runtime/shell-word.js';

it.each(['runs/first-try', '/data/a.b_c:d@e', '127.0.0.1:7070'])('leaves %s as it is', (text) => {
  expect(shellWord(text)).toBe(text);
});

it.each([
  '',
  'my runs/first try',
  "it's here",
  `a "quote" and 'another'`,
  '$HOME `id` \\ ! * ? [a] {b} ~ # ; & | < > ( )',
  'two\nlines',
  'Bücher',
])('gives a shell %j back as one word', (text) => {
  const command = `printf %s ${shellWord(text)}`;
  expect(execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8' })).toBe(text);
});
