import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { printable, printableJson, printableLines, shellWord } from '../../runtime/printable.js';

const nasty = [
  '\u001b[31mred',
  'title\u001b]0;x\u0007',
  'c1\u009b2J',
  'new\nline\r',
  'a\u2028b',
  'txt.\u202egpj',
  'half\ud800',
  '\ufffe\uffff\u0000\u007f',
];

it('leaves text as it is, whatever language it is in', () => {
  for (const text of ['cat', 'Äpfel\t é', 'नमस्ते', '🦊👩‍👩‍👧', 'שלום\u200f', '\ufffd']) {
    expect(printable(text)).toBe(text);
    expect(printableJson(text)).toBe(JSON.stringify(text));
  }
});

it('shows what a terminal would obey, one sign for each', () => {
  for (const text of nasty) {
    expect(printable(text)).toHaveLength(text.length);
    expect(printable(text)).toMatch(/^[^\p{Cc}\p{Cs}\p{Zl}\u202e\uffff]+$/u);
  }
  expect(printable('a\nb')).toBe('a\ufffdb');
  expect(printableLines('a\nb\u001bc')).toBe('a\nb\ufffdc');
});

it('writes JSON that means the same', () => {
  for (const text of nasty) {
    expect(JSON.parse(printableJson({ text }))).toEqual({ text });
    expect(printableJson(text)).toBe(printable(printableJson(text)));
  }
});

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
