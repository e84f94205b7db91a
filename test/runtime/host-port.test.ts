import { describe, expect, it } from 'vitest';
import { formatHostPort, isLoopback, parseHostPort } from '../../runtime/host-port.js';

describe('parseHostPort', () => {
  it.each([
    ['127.0.0.1:7070', { host: '127.0.0.1', port: 7070 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['[::1]:65535', { host: '::1', port: 65_535 }],
  ])('reads %s, and formatting gives it back', (text, expected) => {
    expect(parseHostPort(text)).toEqual(expected);
    expect(formatHostPort(expected)).toBe(text);
  });

  it.each([
    '',
    '7070',
    ':7070',
    'host:',
    'host:x',
    'host:70000',
    '::1:80',
    'host:-1',
    'a b:1',
    'http://host:80',
  ])('refuses %j with the remedy', (text) => {
    expect(() => parseHostPort(text)).toThrowError(
      expect.objectContaining({
        code: 'invalid-argument',
        remedy: expect.stringContaining('127.0.0.1:7070'),
      }),
    );
  });
});

describe('isLoopback', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.8.9.10', true],
    ['::1', true],
    ['localhost', true],
    ['0.0.0.0', false],
    ['::', false],
    ['10.0.0.1', false],
    ['127.0.0.1.example.com', false],
    ['localhost.example.com', false],
  ])('of %s is %s', (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });
});
