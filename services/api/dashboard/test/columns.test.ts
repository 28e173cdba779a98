import { expect, test } from 'vitest';
import type { Row } from '../src/api';
import { because } from '../src/lib/cause';
import { before, optional, sortOf, spot, took } from '../src/lib/columns';
import { standing } from '../src/lib/health';
import { fits, noFilter } from '../src/lib/held';
import { href, listPlace, parsePlace } from '../src/lib/route';
import { tierName } from '../src/lib/tier';

const row = (id: string, more: Partial<Row> = {}): Row =>
  ({
    batch_id: id,
    batch_name: id,
    pipeline: null,
    owner: null,
    labels: null,
    status: 'PROCESSING',
    health: 'ok',
    blocked_reason: null,
    cause: null,
    current_tier: 0,
    total_tiers: 1,
    overall_progress: 0,
    as_of: '2026-03-01T12:00:00Z',
    ordered_at: '2026-03-01T12:00:00Z',
    started_at: null,
    completed_at: null,
    last_activity_at: null,
    revision: 1,
    spark: [],
    eta: null,
    ...more,
  }) as Row;

test('tiers are counted as the server counts them', () => {
  // The same table as TestTierNameCountsAsPeopleDo in pkg/diagnostics.
  expect([
    tierName(1, 3, 'PROCESSING'),
    tierName(2, 3, 'COMPLETED'),
    tierName(1, 3, 'COMPLETED'),
    tierName(1, 3, 'FAILED'),
    tierName(4, 3),
  ]).toEqual(['tier 2 of 3', 'tier 3 of 3', 'tier 3 of 3', 'tier 2 of 3', 'tier 5 of 5']);
});

test('rows without a value come last in either direction', () => {
  const rows = [row('c', { owner: 'Bo' }), row('b'), row('a', { owner: 'ana' })];
  const by = (sort: 'owner' | '-owner') =>
    rows
      .map(r => spot(r, sort))
      .sort((a, b) => before(a, b, sort))
      .map(s => s.id);
  expect(by('owner')).toEqual(['a', 'c', 'b']);
  expect(by('-owner')).toEqual(['c', 'a', 'b']);
});

test('a batch that goes on took the time up to its last event', () => {
  const started_at = '2026-03-01T12:00:00Z';
  expect(took(row('a'))).toBeNull();
  expect(took(row('a', { started_at, last_activity_at: '2026-03-01T12:01:00Z' }))).toBe(60);
  expect(took(row('a', { started_at, completed_at: '2026-03-01T12:05:00Z' }))).toBe(300);
});

test('an order that nobody knows is by need', () => {
  expect([sortOf('colour'), sortOf('-newest'), sortOf('-took'), sortOf(null)]).toEqual([
    'need',
    'need',
    '-took',
    'need',
  ]);
});

test('a failed batch is said once, in red, with its cause', () => {
  const failed = row('a', {
    status: 'FAILED',
    health: 'degraded',
    cause: 'PROGRAM:FAILED',
    sentence: 'tier 1 of 1 failed',
  });
  expect(standing(failed)).toEqual({ mark: 'stuck', word: 'Failed' });
  expect(because(failed)).toBe('Tier 1 of 1 failed');
  expect(because({ ...failed, sentence: 'raysubmit_1 was stopped' })).toBe('raysubmit_1 was stopped'); // a name keeps its letters
});

test('filters of a group fit as the server filters', () => {
  const r = row('a', { owner: 'ana', cause: 'X', alike: 'a job waits', pipeline: null });
  expect(fits(r, { ...noFilter, cause: 'X', alike: 'a job waits' })).toBe(true);
  expect(fits(r, { ...noFilter, cause: 'X', alike: 'another' })).toBe(false);
  expect(fits(r, { ...noFilter, pipeline: [''] })).toBe(true);
  expect(fits(r, { ...noFilter, owner: ['bo'] })).toBe(false);
  expect(fits(r, { ...noFilter, from: new Date('2026-03-01T12:00:01Z') })).toBe(false);
  expect(fits(r, { ...noFilter, to: new Date('2026-03-01T12:00:00Z') })).toBe(false);
});

test('the whole list is in its address', () => {
  const p = {
    ...listPlace('team'),
    pipeline: ['a,b', ''],
    owner: ['ana'],
    cause: 'X',
    alike: 'needs 8 GPUs',
    since: '24h',
    sort: '-took' as const,
    group: 'cause' as const,
    columns: [...optional].slice(2, 5),
  };
  expect(parsePlace(new URL(href(p), 'http://h'))).toEqual(p);
});
