// The timeline: one axis of time for all tiers, and what each tier did along it.
import type { Snapshot, TierDiagnostic } from '../api';

export type Phase = 'queued' | 'starting' | 'working' | 'waiting';

export interface Segment {
  phase: Phase;
  from: number; // ms
  to: number;
}

export interface Axis {
  from: number;
  to: number;
  ticks: number[];
}

const at = (time: string | null | undefined): number | null => {
  if (!time) return null;
  const t = Date.parse(time);
  return Number.isNaN(t) ? null : t;
};

const least = (times: (number | null)[]): number | null => {
  const known = times.filter((t): t is number => t !== null);
  return known.length ? Math.min(...known) : null;
};

/**
 * What a tier did until `now`. Queued: submitted, not running. Starting: running, nothing processed yet. Working:
 * documents moved. Waiting: none did, for longer than a pause between two reports explains.
 */
export function segments(tier: TierDiagnostic, now: number): Segment[] {
  const jobs = tier.jobs.filter(j => j.attempt === tier.attempt);
  const queued = least(jobs.map(j => at(j.submitted_at)));
  const started = least([at(tier.started_at), ...jobs.map(j => at(j.started_at))]);
  const begin = least([queued, started]);
  const end = at(tier.completed_at) ?? now;
  if (begin === null || begin > end) return [];
  const out: Segment[] = [];
  const add = (phase: Phase, from: number, to: number): void => {
    if (to <= from) return;
    const last = out[out.length - 1];
    if (last && last.phase === phase && last.to === from) last.to = to;
    else out.push({ phase, from, to });
  };
  const running = Math.min(Math.max(started ?? end, begin), end);
  add('queued', begin, running);
  const moves = movements(tier, running, end);
  const first = moves[0];
  if (first === undefined) {
    add('starting', running, end);
    return out;
  }
  add('starting', running, first);
  const pause = longestPause(tier, moves);
  let from = first;
  for (const t of [...moves.slice(1), end]) {
    const closing = t === end && tier.completed_at !== null;
    if (t - from > pause && !(closing && tier.status === 'COMPLETED' && t - from < pause * 2)) {
      const moved = Math.min(from + pause / 2, t);
      add('working', from, moved);
      add('waiting', moved, t);
    } else add('working', from, t);
    from = t;
  }
  return out;
}

export interface Why {
  /** As in a job's phases: quota, node_launch. */
  kind: string;
  from: number;
  to: number;
}

/** What the job of a tier that waited longest was waiting for, one thing after another, as far as sources said. */
export function reasons(tier: TierDiagnostic, now: number): Why[] {
  let best: Why[] = [];
  let longest = 0;
  for (const j of tier.jobs) {
    if (j.attempt !== tier.attempt || j.superseded) continue;
    const whys = j.phases
      .filter(p => p.phase !== 'working')
      .map(p => ({ kind: p.phase, from: at(p.started_at) ?? now, to: at(p.ended_at) ?? now }))
      .filter(p => p.to > p.from);
    const waited = whys.reduce((sum, p) => sum + p.to - p.from, 0);
    if (waited > longest) [best, longest] = [whys, waited];
  }
  return best;
}

/** The moments at which the counter was seen to have risen. */
function movements(tier: TierDiagnostic, from: number, to: number): number[] {
  const out: number[] = [];
  let top = 0;
  for (const [second, seen] of tier.series.points as [number, number][]) {
    if (seen <= top) continue;
    top = seen;
    out.push(Math.min(Math.max(second * 1000, from), to));
  }
  return out;
}

/** Four times the usual distance of two reports, a minute at least where reports are rare. */
function longestPause(tier: TierDiagnostic, moves: number[]): number {
  const gaps = moves.slice(1).map((t, i) => t - (moves[i] ?? t));
  gaps.sort((a, b) => a - b);
  const usual = gaps[Math.floor(gaps.length / 2)] ?? 15_000;
  return Math.max(4 * usual, 4000 * tier.series.width_seconds, 10_000);
}

const steps = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
];

/** The axis that holds a batch from its first sign to its end, or to now. `zone` is the offset of local time in minutes. */
export function axis(s: Snapshot, now: number, wanted = 6, offsetMinutes = 0): Axis {
  let from = least([at(s.created_at), at(s.submitted_at), at(s.started_at)]) ?? now;
  for (const t of s.tiers) {
    const b = least([at(t.started_at), ...t.jobs.map(j => at(j.submitted_at))]);
    if (b !== null && b < from) from = b;
  }
  const ended = at(s.completed_at);
  let to = ended ?? now;
  for (const t of s.tiers) to = Math.max(to, at(t.completed_at) ?? 0);
  if (to - from < 10_000) to = from + 10_000;
  return { from, to, ticks: ticks(from, to, wanted, offsetMinutes) };
}

export function ticks(from: number, to: number, wanted: number, offsetMinutes: number): number[] {
  const seconds = (to - from) / 1000;
  const step = (steps.find(x => seconds / x <= wanted) ?? Math.ceil(seconds / wanted / 604_800) * 604_800) * 1000;
  const shift = offsetMinutes * 60_000;
  const out: number[] = [];
  for (let t = Math.ceil((from + shift) / step) * step - shift; t <= to; t += step) out.push(t);
  return out;
}

/** Where a moment stands on the axis, in percent. */
export function place(a: Axis, t: number): number {
  return Math.min(100, Math.max(0, ((t - a.from) / (a.to - a.from)) * 100));
}
