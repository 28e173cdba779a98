import { expect, test } from 'vitest';
import { batchPlace, href, listPlace, parsePlace, pipelinePlace, toggled } from '../src/lib/route';
import { spark, sparkWords } from '../src/lib/spark';
import { moment, range } from '../src/lib/time';
import { indexes, visible } from '../src/lib/window';

const parse = (path: string) => parsePlace(new URL(path, 'http://h'));

test('a place survives the address bar', () => {
  for (const p of [
    { ...listPlace('team-a'), health: ['stuck', 'ok'], status: ['FAILED'], q: 'a&b c' },
    { ...batchPlace('', 'nightly-42'), tier: 17, tab: 'errors' as const, evidence: true },
    { ...batchPlace('', 'nightly-42'), moment: '2026-11-20T03:00:00.000Z' },
    batchPlace('x', 'b'),
    pipelinePlace('', 'etl/media, ü'),
    { ...pipelinePlace('x', 'media'), compare: ['nightly-41', 'a,b %'] },
  ]) {
    expect(parse(href(p))).toEqual(p);
  }
});

test('what an address can’t mean is ignored', () => {
  expect(parse('/batches/a?at=soon')).toEqual(batchPlace('', 'a'));
  expect(parse('/batches/a?tier=-1&tab=nope')).toEqual(batchPlace('', 'a'));
  expect(parse('/batches/a/b').page).toBe('none');
  expect(parse('/batches/%').page).toBe('batch');
  expect(parse('/?namespace=no%20namespace')).toEqual({ page: 'none', namespace: '' });
});

test('a filter toggles', () => {
  expect(toggled(['a'], 'b')).toEqual(['a', 'b']);
  expect(toggled(['a', 'b'], 'a')).toEqual(['b']);
});

test('the window of a long list', () => {
  expect(visible(0, 50, 0, 800, 5)).toEqual({ from: 0, to: 0 });
  expect(visible(10_000, 50, 0, 800, 5)).toEqual({ from: 0, to: 22 });
  expect(visible(10_000, 50, 5000, 800, 5)).toEqual({ from: 95, to: 122 });
  expect(visible(10_000, 50, 10_000 * 50, 800, 5)).toEqual({ from: 9995, to: 10_000 });
  expect(visible(3, 50, 900, 800, 5).to).toBe(3);
});

test('the focused row never leaves the page', () => {
  const w = { from: 10, to: 12 };
  expect(indexes(w, 3, 100)).toEqual([3, 10, 11]);
  expect(indexes(w, 50, 100)).toEqual([10, 11, 50]);
  expect(indexes(w, 11, 100)).toEqual([10, 11]);
  expect(indexes(w, 400, 100)).toEqual([10, 11]);
});

test('sparklines stay in their box, and say what they show', () => {
  expect(spark([5], 96, 24)).toBeNull();
  const s = spark([0, 10, 5], 96, 24);
  expect(s?.line).toBe('M0 23L48 1L96 12');
  expect([sparkWords([5, 5, 0]), sparkWords([1, 1, 9]), sparkWords([9, 9, 1]), sparkWords([5, 5, 5])]).toEqual([
    'standing still',
    'getting faster',
    'getting slower',
    'at an even pace',
  ]);
});

test('moments say their day when it isn’t today, and a range says it once', () => {
  const now = new Date('2026-03-01T12:00:00Z');
  expect(moment(new Date('2026-03-01T09:05:07Z'), now, 'utc')).toBe('09:05:07');
  expect(moment(new Date('2026-02-28T09:05:07Z'), now, 'utc')).toBe('28 Feb 09:05:07');
  expect(moment(new Date('2025-12-31T09:05:07Z'), now, 'utc')).toBe('31 Dec 2025 09:05:07');
  expect(range(new Date('2026-03-01T13:00:00Z'), new Date('2026-03-01T13:20:00Z'), now, 'utc')).toBe('13:00–13:20');
  expect(range(new Date('2026-03-01T23:50:00Z'), new Date('2026-03-02T00:20:00Z'), now, 'utc')).toBe(
    '23:50–2 Mar 00:20',
  );
  expect(range(new Date('2026-03-01T13:00:00Z'), new Date('2026-03-01T13:00:20Z'), now, 'utc')).toBe('13:00');
});
