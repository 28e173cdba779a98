// Two runs side by side: what is different between them, the most telling first.
import type { JobDiagnostic, Snapshot, TierDiagnostic } from '../api';
import { count, rate, resources, span } from './format';
import { isOver, standing } from './health';
import { waitedFor, words } from './reason';

export interface Comparison {
  what: string;
  /** null: there is nothing to say. */
  a: string | null;
  b: string | null;
  /** Of numbers, from a to b: "3.4 times as much". */
  change: string;
  differs: boolean;
}

/** In this order: how it ended and why, how it was set up, and figures. */
type Kind = 0 | 1 | 2;

interface Entry extends Comparison {
  kind: Kind;
  /** How far figures are apart. */
  ratio: number;
}

/** Figures of two runs are never quite the same. */
export const alikeWithin = 0.1;

/** What is said of two runs, what differs first. */
export function compare(a: Snapshot, b: Snapshot): Comparison[] {
  const out: Entry[] = [];
  const text = (kind: Kind, what: string, x: string | null, y: string | null): void => {
    if (x || y)
      out.push({ what, a: x || null, b: y || null, change: '', differs: (x || null) !== (y || null), kind, ratio: 0 });
  };
  const figure = (
    what: string,
    x: number | null | undefined,
    y: number | null | undefined,
    show: (n: number) => string,
    least: number,
  ): void => {
    const [m, n] = [x ?? null, y ?? null];
    if ((m ?? 0) === 0 && (n ?? 0) === 0) return;
    const apart = Math.abs((m ?? 0) - (n ?? 0));
    const differs = m === null || n === null || (apart > least && apart > alikeWithin * Math.max(m, n));
    out.push({
      what,
      a: m === null ? null : show(m),
      b: n === null ? null : show(n),
      change: differs && m !== null && n !== null ? changed(m, n) : '',
      differs,
      kind: 2,
      ratio: differs ? Math.max(m ?? 0, n ?? 0) / Math.max(Math.min(m ?? 0, n ?? 0), 0.001) : 0,
    });
  };
  text(0, 'Outcome', outcome(a), outcome(b));
  text(0, 'Cause', a.cause?.sentence ?? null, b.cause?.sentence ?? null);
  text(0, 'Error', a.error, b.error);
  text(1, 'Owner', a.owner, b.owner);
  text(1, 'Tiers', count(a.total_tiers), count(b.total_tiers));
  text(1, 'Attempt', count(a.attempt), count(b.attempt));
  settings(a.labels, b.labels, (key, x, y) => text(1, `Label ${key}`, x, y));
  figure('Took', a.duration_seconds, b.duration_seconds, span, 1);
  const [p, q] = [a.performance_summary, b.performance_summary];
  if (p || q) {
    figure('Waited for Ray', p?.queue_seconds, q?.queue_seconds, span, 1);
    figure('Cold start', p?.cold_start_seconds, q?.cold_start_seconds, span, 1);
    figure('Processing', p?.processing_seconds, q?.processing_seconds, span, 1);
    figure('Between tiers', p?.hand_over_seconds, q?.hand_over_seconds, span, 1);
  }
  const documents = (s: Snapshot): number => s.tiers.reduce((sum, t) => sum + t.progress.processed_documents, 0);
  const failed = (s: Snapshot): number => s.tiers.reduce((sum, t) => sum + t.failed_documents, 0);
  figure('Documents', documents(a), documents(b), count, 0);
  figure('Failed documents', failed(a), failed(b), count, 0);
  const numbers = [...new Set([...a.tiers, ...b.tiers].map(t => t.tier_num))].sort((x, y) => x - y);
  for (const n of numbers) {
    const [t, u] = [a.tiers.find(o => o.tier_num === n), b.tiers.find(o => o.tier_num === n)];
    const of = `Tier ${n + 1}: `;
    text(0, `${of}outcome`, t ? words(t.status) : null, u ? words(u.status) : null);
    text(0, `${of}cause`, t?.cause?.sentence ?? t?.error ?? null, u?.cause?.sentence ?? u?.error ?? null);
    figure(`${of}took`, t?.duration_seconds, u?.duration_seconds, span, 1);
    figure(`${of}queued`, t?.queue_seconds, u?.queue_seconds, span, 1);
    figure(`${of}documents`, t?.progress.processed_documents, u?.progress.processed_documents, count, 0);
    figure(`${of}failed documents`, t?.failed_documents, u?.failed_documents, count, 0);
    figure(`${of}pace`, t?.throughput_docs_per_second, u?.throughput_docs_per_second, rate, 0);
    text(1, `${of}attempt`, t ? count(t.attempt) : null, u ? count(u.attempt) : null);
    settings(t?.submission_params, u?.submission_params, (key, x, y) => text(1, `${of}parameter ${key}`, x, y));
    const [j, k] = [decides(t), decides(u)];
    if (!j && !k) continue;
    waits(j, k, (kind, x, y) => figure(`${of}waited for ${waitedFor(kind)}`, x, y, span, 1));
    text(1, `${of}asked for`, resources(j?.resources), resources(k?.resources));
    text(1, `${of}cluster`, j?.cluster ?? null, k?.cluster ?? null);
    text(1, `${of}extractor`, j?.extractor ?? null, k?.extractor ?? null);
  }
  return out
    .map((e, i) => ({ e, i }))
    .sort(
      (x, y) =>
        Number(y.e.differs) - Number(x.e.differs) ||
        (x.e.differs ? x.e.kind - y.e.kind || y.e.ratio - x.e.ratio : 0) ||
        x.i - y.i,
    )
    .map(({ e: { what, a, b, change, differs } }) => ({ what, a, b, change, differs }));
}

const outcome = (s: Snapshot): string => (isOver(s.status) ? words(s.status) : standing(s).word);

/** The job that decides how its tier stands. */
const decides = (t: TierDiagnostic | undefined): JobDiagnostic | undefined =>
  t?.jobs.find(j => j.ray_job_id === t.ray_job_id);

function settings(a: unknown, b: unknown, say: (key: string, x: string | null, y: string | null) => void): void {
  const [x, y] = [(a ?? {}) as Record<string, unknown>, (b ?? {}) as Record<string, unknown>];
  const show = (v: unknown): string | null => (v === undefined ? null : typeof v === 'string' ? v : JSON.stringify(v));
  for (const key of [...new Set([...Object.keys(x), ...Object.keys(y)])].sort()) say(key, show(x[key]), show(y[key]));
}

/** What the jobs waited for, other than their turn. */
function waits(
  a: JobDiagnostic | undefined,
  b: JobDiagnostic | undefined,
  say: (kind: string, x: number, y: number) => void,
): void {
  const sums = (j: JobDiagnostic | undefined): Map<string, number> => {
    const out = new Map<string, number>();
    for (const p of j?.phases ?? []) out.set(p.phase, (out.get(p.phase) ?? 0) + p.duration_seconds);
    return out;
  };
  const [x, y] = [sums(a), sums(b)];
  for (const kind of new Set([...x.keys(), ...y.keys()]))
    if (kind !== 'working' && kind !== 'queued') say(kind, x.get(kind) ?? 0, y.get(kind) ?? 0);
}

/** From one number to another, in words. */
export function changed(from: number, to: number): string {
  if (from === 0 || to === 0) return '';
  const ratio = to / from;
  if (ratio >= 2) return `${ratio < 10 ? ratio.toFixed(1) : count(ratio)} times as much`;
  return ratio > 1 ? `${Math.round((ratio - 1) * 100)} % more` : `${Math.round((1 - ratio) * 100)} % less`;
}
