import { expect, test } from 'vitest';
import type { JobDiagnostic, Snapshot, TierDiagnostic } from '../src/api';
import { changed, compare } from '../src/lib/compare';
import { median, trendWords } from '../src/lib/trend';
import { answer, answers } from './stories';

/** A run that differs in nothing, to be changed. */
const run = (change: (s: Snapshot, t: TierDiagnostic) => void = () => {}): Snapshot => {
  const s = answer('50-waiting-for-ray-dominates', 0);
  const t = s.tiers[0];
  if (!t) throw new Error('the story has no tier');
  change(s, t);
  return s;
};

const differing = (a: Snapshot, b: Snapshot): string[] =>
  compare(a, b)
    .filter(c => c.differs)
    .map(c => c.what);

test('nothing differs between a run and itself', () => {
  for (const { name, s } of answers()) expect(differing(s, s), name).toEqual([]);
});

test('what differs comes first: how it ended, how it was set up, then figures, the largest difference first', () => {
  const a = run((s, t) => {
    s.labels = { region: 'eu-1', team: 'search' };
    t.submission_params = { batch_size: 64, model: 'clip' };
    t.failed_documents = 10;
    s.duration_seconds = 100;
  });
  const b = run((s, t) => {
    s.status = 'FAILED';
    s.labels = { region: 'us-2', team: 'search' };
    t.submission_params = { batch_size: 256, model: 'clip' };
    t.failed_documents = 100;
    s.duration_seconds = 150;
  });
  const all = compare(a, b);
  expect(differing(a, b)).toEqual([
    'Outcome',
    'Label region',
    'Tier 1: parameter batch_size',
    'Failed documents',
    'Tier 1: failed documents',
    'Took',
  ]);
  expect(all[0]).toEqual({ what: 'Outcome', a: 'Completed', b: 'Failed', change: '', differs: true });
  expect(all.find(c => c.what === 'Tier 1: parameter batch_size')).toMatchObject({ a: '64', b: '256' });
  expect(all.find(c => c.what === 'Failed documents')?.change).toBe('10 times as much');
  expect(all.find(c => c.what === 'Label team')?.differs).toBe(false);
  const first = all.findIndex(c => !c.differs);
  expect(all.slice(first).some(c => c.differs)).toBe(false);
});

test('figures that are close count as the same, and what one run lacks differs', () => {
  const a = run(s => {
    s.duration_seconds = 100;
  });
  expect(differing(a, { ...a, duration_seconds: 109 })).toEqual([]);
  expect(differing(a, { ...a, duration_seconds: 112 })).toEqual(['Took']);
  expect(differing(a, { ...a, duration_seconds: null })).toEqual(['Took']);
  expect(differing(a, { ...a, owner: 'ana' })).toEqual(['Owner']);
});

test('what the jobs waited for is compared thing by thing', () => {
  const waiting = (seconds: number): Snapshot =>
    run((_, t) => {
      const j = t.jobs.find(o => o.ray_job_id === t.ray_job_id) as JobDiagnostic;
      j.phases = [
        { phase: 'node_launch', started_at: '2026-03-01T12:00:00Z', ended_at: null, duration_seconds: seconds },
        { phase: 'working', started_at: '2026-03-01T12:10:00Z', ended_at: null, duration_seconds: seconds * 7 },
      ];
    });
  expect(differing(waiting(30), waiting(600))).toEqual(['Tier 1: waited for a node to start']);
});

test('a change in words', () => {
  expect([changed(100, 340), changed(10, 250), changed(100, 145), changed(100, 70), changed(0, 5)]).toEqual([
    '3.4 times as much',
    '25 times as much',
    '45 % more',
    '30 % less',
    '',
  ]);
});

test('a trend in words', () => {
  const s = (n: number): string => `${n} s`;
  expect([median([]), median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([null, 2, 2.5]);
  expect(trendWords([10, null, 12, 11, 33], s)).toBe('median 11 s; the last 33 s, 3.0 times as much');
  expect(trendWords([11, 11], s)).toBe('median 11 s; the last 11 s');
  expect(trendWords([null, 5], s)).toBe('5 s');
  expect(trendWords([null], s)).toBe('no run has said it yet');
});
