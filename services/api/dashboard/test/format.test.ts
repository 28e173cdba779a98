import { describe, expect, test } from 'vitest';
import { bytes, count, percent, plural, resources, span, spanShort } from '../src/lib/format';

const plain = (s: string) => s.replaceAll('\u202f', ' ');

describe('spans', () => {
  test.each([
    [0, '0 s'],
    [-5, '0 s'],
    [59.9, '59 s'],
    [60, '1 min'],
    [67, '1 min 7 s'],
    [600, '10 min'],
    [3599, '59 min'],
    [3600, '1 h'],
    [3660, '1 h 01 min'],
    [86_400, '1 d'],
    [90_000, '1 d 1 h'],
  ])('%d seconds', (seconds, words) => {
    expect(plain(span(seconds))).toBe(words);
  });
  test('in columns the larger unit', () => {
    expect(plain(spanShort(3700))).toBe('1 h');
  });
});

test('a share shows neither an end nor a beginning that has not come', () => {
  expect([0, 0.2, 1, 99.99, 100, 250].map(p => plain(percent(p)))).toEqual([
    '0 %',
    '<1 %',
    '1 %',
    '99 %',
    '100 %',
    '100 %',
  ]);
});

test('numbers', () => {
  expect(count(1234567)).toBe('1,234,567');
  expect(plain(plural(1, 'batch', 'batches'))).toBe('1 batch');
  expect(plain(plural(12, 'batch', 'batches'))).toBe('12 batches');
  expect(plain(bytes(8 * 2 ** 30))).toBe('8 GiB');
});

test('resources in words', () => {
  expect(plain(resources({ GPU: 1, 'accelerator_type:H200': 0.001 }))).toBe('1 GPU, an H200 accelerator');
  expect(plain(resources({ num_cpus: 2, memory_bytes: 4294967296 }))).toBe('2 CPUs, 4 GiB memory');
  expect(resources(null)).toBe('');
});
