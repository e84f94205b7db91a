import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { readWeights } from '../../../../worker/model/weights/read-weights.js';
import { zipOf } from '../../../support/zip-file.js';

const pointer =
  'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n';

function padded(...parts: (string | number[])[]): Buffer {
  const bytes = parts.map((part) =>
    typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part),
  );
  return Buffer.concat([...bytes, Buffer.alloc(64, 0x07)]);
}

test.each<[string, Uint8Array, RegExp, RegExp]>([
  ['a Git LFS pointer', Buffer.from(pointer), /Git LFS pointer/, /git lfs pull/],
  ['a web page', Buffer.from('\n <!DOCTYPE html>\n<html><head>'), /web page/, /Download/],
  ['a page without a doctype', Buffer.from('\ufeff<HTML lang="en"><body>Sign in'), /web page/, /Download/],
  ['a page behind a comment', Buffer.from('<!-- saved\nfrom --> <html>'), /web page/, /Download/],
  ['an error in XML', Buffer.from('<?xml version="1.0"?><Error><Code>AccessDenied'), /XML/, /Download/],
  ['an error in JSON', Buffer.from('{"error": "Repository not found"}'), /JSON/, /Download/],
  ['another text', Buffer.from('Entry not found'), /text that begins with "Entry not found"/, /Download/],
  [
    'text in another script',
    Buffer.from('Файл не найден на сервере'),
    /text that begins with "Файл/,
    /Download/,
  ],
  ['gzip', gzipSync('weights, weights, weights'), /gzip/, /Unpack/],
  ['bzip2', padded('BZh91AY&SY'), /bzip2/, /Unpack/],
  ['xz', padded('\xfd7zXZ\0\0'), /xz/, /Unpack/],
  ['zstd', padded([0x28, 0xb5, 0x2f, 0xfd]), /zstd/, /Unpack/],
  ['tar', padded('weights.pth', new Array(246).fill(0), 'ustar\x0000'), /tar archive/, /Unpack/],
  ['Keras, HDF5', padded('\x89HDF\r\n\x1a\n'), /HDF5.*Keras/, /safetensors/],
  [
    'Keras, its own format',
    zipOf({ 'metadata.json': Buffer.of(1), 'model.weights.h5': Buffer.of(1) }),
    /Keras/,
    /./,
  ],
  ['TensorFlow Lite', padded([0x1c, 0, 0, 0], 'TFL3'), /TensorFlow Lite/, /safetensors/],
  [
    'a SavedModel',
    padded([8, 1, 0x12, 0xa0, 0x8d, 6], '\x0a\x10serve'),
    /SavedModel of TensorFlow/,
    /safetensors/,
  ],
  [
    'a checkpoint’s index',
    padded('\0\0\x01\x02', [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb]).subarray(0, 12),
    /index of a TensorFlow/,
    /./,
  ],
  ['ONNX by PyTorch', padded([8, 7, 0x12, 7], 'pytorch\x1a\x052.1.0:'), /ONNX/, /safetensors/],
  ['ONNX by others', padded([8, 3, 0x12, 4], 'CNTK'), /ONNX/, /safetensors/],
  ['ONNX without a name', padded([8, 9, 0x3a, 0x80, 2]), /ONNX/, /safetensors/],
  ['an array', padded('\x93NUMPY\x01\0'), /array of NumPy/, /safetensors/],
  ['arrays', zipOf({ 'a.npy': Buffer.of(1), 'b.npy': Buffer.of(2) }), /arrays of NumPy/, /./],
  ['a zipped checkpoint', zipOf({ 'best/model.pth': Buffer.of(1) }), /holds best\/model\.pth/, /Unpack/],
  ['GGUF', padded('GGUF\x03\0\0\0'), /GGUF/, /./],
  ['a photo', padded([0xff, 0xd8, 0xff, 0xe0]), /JPEG image/, /./],
  ['a pickle of something else', padded([0x80, 4, 0x95, 1]), /Python pickle/, /torch\.save/],
  ['noise', padded([3, 200, 17, 99, 250, 0, 1, 2, 3, 4]), /neither safetensors nor/, /torch\.save/],
])('%s is named as such', (_, bytes, what, remedy) => {
  const attempt = () => readWeights(bytes, 'weights.pth');
  expect(attempt).toThrow(/^weights\.pth cannot be read: it is /);
  expect(attempt).toThrow(what);
  expect(attempt).toThrow(
    expect.objectContaining({ code: 'invalid-argument', remedy: expect.stringMatching(remedy) }),
  );
});

test('an empty file is named as such', () => {
  const attempt = () => readWeights(new Uint8Array(), 'weights.pth');
  expect(attempt).toThrow(/^weights\.pth is damaged: it is empty/);
  expect(attempt).toThrow(expect.objectContaining({ code: 'data-loss' }));
});
