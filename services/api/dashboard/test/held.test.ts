import { describe, expect, test } from 'vitest';
import type { Row } from '../src/api';
import { expected, fits, HeldList, noFilter } from '../src/lib/held';

let revision = 0;
function row(id: string, o: Partial<Row> = {}): Row {
  return {
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
    has_failures: false,
    as_of: '2026-03-01T12:00:00Z',
    until: null,
    ordered_at: '2026-03-01T12:00:00Z',
    started_at: null,
    completed_at: null,
    last_activity_at: null,
    revision: ++revision,
    spark: [],
    eta: null,
    ...o,
  };
}

describe('a list that is read while it changes', () => {
  test('a revision says something else at a later moment, and an earlier one of it is dropped', () => {
    const l = new HeldList();
    const first = row('a', { as_of: '2026-03-01T12:00:00Z' });
    l.page([first], true);
    l.change({ ...first, health: 'stuck', as_of: '2026-03-01T12:20:00Z' });
    l.change({ ...first, health: 'ok', as_of: '2026-03-01T12:10:00Z' });
    expect(l.row('a')?.health).toBe('stuck');
  });

  test('values change in place, and nothing waits', () => {
    const l = new HeldList();
    l.page([row('a'), row('b')], true);
    expect(l.change(row('b', { overall_progress: 50 }))).toBe('shown');
    expect(l.row('b')?.overall_progress).toBe(50);
    expect([l.order, l.held]).toEqual([['a', 'b'], 0]);
  });

  test('what would move a row waits, shows its new value, and moves when asked', () => {
    const l = new HeldList();
    l.page([row('a'), row('b')], true);
    expect(l.change(row('b', { health: 'stuck' }))).toBe('held');
    expect(l.row('b')?.health).toBe('stuck');
    expect([l.order, l.held]).toEqual([['a', 'b'], 1]);
    l.apply();
    expect([l.order, l.held]).toEqual([['b', 'a'], 0]);
  });

  test('a row that comes back to its place no longer waits', () => {
    const l = new HeldList();
    l.page([row('a'), row('b')], true);
    l.change(row('b', { health: 'stuck' }));
    l.change(row('b'));
    expect(l.held).toBe(0);
  });

  test('a new row waits, but not where that part of the list was never read', () => {
    const l = new HeldList();
    l.page([row('a', { health: 'stuck' }), row('b', { health: 'scaling' })], false);
    expect(l.change(row('c'))).toBe('elsewhere');
    expect(l.change(row('d', { health: 'degraded' }))).toBe('held');
    l.apply();
    expect(l.order).toEqual(['a', 'd', 'b']);
  });

  test('a row that no longer fits the filter stays until asked', () => {
    const l = new HeldList({ ...noFilter, health: ['stuck'] });
    l.page([row('a', { health: 'stuck' })], true);
    expect(l.change(row('a'))).toBe('held');
    expect(l.order).toEqual(['a']);
    l.apply();
    expect(l.order).toEqual([]);
  });

  test('revisions never go back', () => {
    const l = new HeldList();
    const old = row('a', { overall_progress: 10 });
    l.page([row('a', { overall_progress: 20 })], true);
    l.change(old);
    expect(l.row('a')?.overall_progress).toBe(20);
  });

  test('a row that moved between two pages comes once', () => {
    const l = new HeldList();
    l.page([row('a'), row('b')], false);
    l.page([row('b'), row('c')], true);
    expect(l.order).toEqual(['a', 'b', 'c']);
  });

  test('the order is the server’s: need, then the newest, then the id; fractions of seconds count', () => {
    const l = new HeldList();
    l.page([], true);
    for (const r of [
      row('b', { ordered_at: '2026-03-01T12:00:00.5Z' }),
      row('a', { ordered_at: '2026-03-01T12:00:00.5Z' }),
      row('c', { ordered_at: '2026-03-01T12:00:00.51Z' }),
      row('d', { ordered_at: '2026-03-01T12:00:00Z' }),
      row('e', { health: 'scaling' }),
      row('f', { health: 'degraded' }),
    ])
      l.change(r);
    l.apply();
    expect(l.order).toEqual(['f', 'e', 'c', 'a', 'b', 'd']);
  });
});

test('a filter judges as the server does', () => {
  const r = row('nightly-42', { pipeline: 'Media', labels: { team: 'Search', n: 3 } as never });
  expect(fits(r, { ...noFilter, q: ' MEDIA ' })).toBe(true);
  expect(fits(r, { ...noFilter, q: 'team:search' })).toBe(true);
  expect(fits(r, { ...noFilter, q: 'n:3' })).toBe(true);
  expect(fits(r, { ...noFilter, q: 'images' })).toBe(false);
  expect(fits(r, { ...noFilter, health: ['stuck'] })).toBe(false);
});

test('how many a filter leaves is told by the counters, where they can', () => {
  const counts = { total: 10, health: { ok: 7, stuck: 3 }, status: { PROCESSING: 10 } };
  expect(expected(counts, noFilter)).toBe(10);
  expect(expected(counts, { ...noFilter, health: ['stuck', 'scaling'] })).toBe(3);
  expect(expected(counts, { ...noFilter, q: 'a' })).toBeNull();
  expect(expected(counts, { ...noFilter, health: ['ok'], status: ['PROCESSING'] })).toBeNull();
});
