import { expect, it } from 'vitest';
import { apply, type RowChange } from '../../src/rows.ts';

const tier = (n: number, more: object = {}) => ({ tier_num: n, status: 'PENDING', jobs: [], ...more });
const keyed = (tiers: { tier_num: number }[]) => tiers.map(t => t.tier_num);

it('replaces members, and lists part by part', () => {
  const before = { a: 1, b: { c: 2 }, timeline: [{ n: 0 }, { n: 1 }, { n: 2 }], errors: [{ e: 1 }] };
  const copy = structuredClone(before);
  const after = apply(before, { set: { a: null }, lists: { timeline: [[1, 2], { n: 3 }] } });
  expect(after).toEqual({ a: null, b: { c: 2 }, timeline: [{ n: 1 }, { n: 2 }, { n: 3 }], errors: [{ e: 1 }] });
  expect(before).toEqual(copy);
  expect(after.errors).toBe(before.errors); // what is equal is shared
});

it.each<[string, number[], RowChange[], number[]]>([
  ['nothing', [1, 2, 3], [], [1, 2, 3]],
  ['one removed', [1, 2, 3], [{ key: 2, gone: true }], [1, 3]],
  ['one at the front', [2, 3], [{ key: 1, after: null, row: tier(1) }], [1, 2, 3]],
  ['one between', [1, 3], [{ key: 2, after: 1, row: tier(2) }], [1, 2, 3]],
  ['several, one behind the other', [1], [2, 3, 4].map(n => ({ key: n, after: n - 1, row: tier(n) })), [1, 2, 3, 4]],
  ['one moved to the end', [1, 2, 3], [{ key: 1, after: 3, row: tier(1) }], [2, 3, 1]],
  ['one moved to the front', [1, 2, 3], [{ key: 3, after: null, row: tier(3) }], [3, 1, 2]],
  [
    'all at once',
    [1, 2, 3, 4],
    [
      { key: 2, gone: true },
      { key: 5, after: null, row: tier(5) },
      { key: 1, after: 4, row: tier(1) },
      { key: 6, after: 1, row: tier(6) },
    ],
    [5, 3, 4, 1, 6],
  ],
])('keeps the order: %s', (_, before, tiers, after) => {
  const state = { tiers: before.map(n => tier(n)) };
  expect(keyed(apply(state, { set: {}, lists: {}, tiers }).tiers as ReturnType<typeof tier>[])).toEqual(after);
  expect(keyed(state.tiers)).toEqual(before);
});

it('changes a row, its jobs and running times', () => {
  const job = (id: string, seconds: number) => ({
    ray_job_id: id,
    duration_seconds: seconds,
    phases: [
      { phase: 'queued', duration_seconds: 1 },
      { phase: 'working', duration_seconds: seconds },
    ],
  });
  const before = {
    tiers: [tier(0, { jobs: [job('a', 5), job('b', 6)] }), tier(1)],
    collections: [{ collection_id: 'c' }],
  };
  const copy = structuredClone(before);
  const after = apply(before, {
    set: {},
    lists: {},
    tiers: [
      {
        key: 0,
        row: { tier_num: 0, status: 'PROCESSING' },
        jobs: [
          { key: 'a', clocks: { duration_seconds: 8, phases: 8 } },
          { key: 'b', gone: true },
        ],
      },
      { key: 1, clocks: { duration_seconds: 3 } },
    ],
    collections: [{ key: 'c', row: { collection_id: 'c', document_count: 4 } }],
  });
  expect(after).toEqual({
    tiers: [{ tier_num: 0, status: 'PROCESSING', jobs: [job('a', 8)] }, tier(1, { duration_seconds: 3 })],
    collections: [{ collection_id: 'c', document_count: 4 }],
  });
  expect(before).toEqual(copy);
});

it('rejects what does not fit', () => {
  const bad = (tiers: RowChange[]) => () => apply({ tiers: [tier(1)] }, { set: {}, lists: {}, tiers });
  expect(bad([{ key: 2, gone: true }])).toThrow();
  expect(bad([{ key: 2, row: tier(2) }])).toThrow();
  expect(bad([{ key: 2, after: 9, row: tier(2) }])).toThrow();
});

it('touches no prototype', () => {
  const change = JSON.parse('{"set":{"__proto__":{"polluted":1}},"lists":{"__proto__":[{"polluted":1}]}}');
  apply({}, change);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});
