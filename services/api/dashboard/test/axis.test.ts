import { expect, test } from 'vitest';
import type { TierDiagnostic } from '../src/api';
import { axis, place, segments, ticks } from '../src/lib/axis';
import { answer, answers } from './stories';

const t0 = Date.parse('2026-03-01T12:00:00Z');
const at = (s: number) => new Date(t0 + s * 1000).toISOString();

function tier(
  o: Partial<TierDiagnostic> & { points?: [number, number][]; queued?: number; ran?: number | null },
): TierDiagnostic {
  const base = answer('09-running', 0).tiers[0] as TierDiagnostic;
  const job = {
    ...(base.jobs[0] as TierDiagnostic['jobs'][number]),
    waiting_on: null,
    submitted_at: at(o.queued ?? 0),
    started_at: o.ran === null ? null : at(o.ran ?? 4),
  };
  const points = (o.points ?? []).map(([s, n]) => [t0 / 1000 + s, n]);
  return {
    ...base,
    jobs: [job],
    started_at: job.started_at,
    completed_at: null,
    series: { width_seconds: 1, points },
    ...o,
  };
}

const phases = (t: TierDiagnostic, now: number) =>
  segments(t, t0 + now * 1000).map(p => [p.phase, (p.from - t0) / 1000, (p.to - t0) / 1000]);

test('queued, starting, working', () => {
  expect(
    phases(
      tier({
        points: [
          [10, 1],
          [12, 5],
          [14, 9],
        ],
      }),
      15,
    ),
  ).toEqual([
    ['queued', 0, 4],
    ['starting', 4, 10],
    ['working', 10, 15],
  ]);
});

test('not running yet is queued until now', () => {
  expect(phases(tier({ ran: null }), 30)).toEqual([['queued', 0, 30]]);
});

test('running without progress is starting until now', () => {
  expect(phases(tier({}), 30)).toEqual([
    ['queued', 0, 4],
    ['starting', 4, 30],
  ]);
});

test('a count that was only repeated is no movement, and a long one is waiting', () => {
  const t = tier({
    points: [
      [10, 1],
      [12, 5],
      [14, 9],
      [16, 9],
      [60, 9],
    ],
  });
  const parts = phases(t, 120);
  expect(parts.at(-1)?.[0]).toBe('waiting');
  expect(parts.at(-1)?.[2]).toBe(120);
});

test('a tier that was never heard of draws nothing', () => {
  expect(segments({ ...tier({}), jobs: [], started_at: null }, t0)).toEqual([]);
});

test('segments of every story follow one another inside the axis', () => {
  for (const { name, s } of answers()) {
    const now = Date.parse(s.view.as_of);
    const a = axis(s, now);
    expect(a.to, name).toBeGreaterThan(a.from);
    for (const t of s.tiers) {
      let last = Number.NEGATIVE_INFINITY;
      for (const p of segments(t, now)) {
        expect(p.from, name).toBeGreaterThanOrEqual(last);
        expect(p.to, name).toBeGreaterThan(p.from);
        expect(p.from, name).toBeGreaterThanOrEqual(a.from);
        last = p.to;
      }
    }
  }
});

test('ticks are round moments, few, and of the zone that is shown', () => {
  const day = 86_400_000;
  expect(ticks(t0, t0 + 3_600_000, 6, 0).map(t => (t - t0) / 60_000)).toEqual([0, 10, 20, 30, 40, 50, 60]);
  expect(ticks(t0, t0 + 3 * day, 4, 120).every(t => new Date(t).getUTCHours() === 22)).toBe(true);
  for (const span of [1e3, 1e5, 1e7, 1e9, 1e11]) expect(ticks(t0, t0 + span, 6, 0).length).toBeLessThanOrEqual(7);
});

test('places stay on the axis', () => {
  const a = { from: 0, to: 100, ticks: [] };
  expect([place(a, -5), place(a, 50), place(a, 500)]).toEqual([0, 50, 100]);
});
