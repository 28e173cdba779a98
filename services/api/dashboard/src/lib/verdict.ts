// The one sentence of a batch: what is wrong (or not), since when, in words.
import type { Snapshot, TierDiagnostic } from '../api';
import { count, nb, plural, rate, span } from './format';
import { healthWords, isOver, type Mark } from './health';
import { reason, type Show, words } from './reason';
import { parse } from './time';

export interface Verdict {
  mark: Mark;
  /** "Stuck", "Failed", "Completed". */
  word: string;
  /** "for 12 min", "3 min ago"; "" where nothing says. */
  since: string;
  sinceAt: Date | null;
  /** The rest of the sentence. */
  says: string;
}

/** After this many seconds without progress a tier isn't said to make progress, though it is within its limit. */
const quiet = 120;

const seconds = (from: Date | null, now: number): number | null =>
  from ? Math.max(0, (now - from.getTime()) / 1000) : null;

export function verdict(s: Snapshot, now: number, show?: Show): Verdict {
  if (isOver(s.status)) return ended(s, now);
  const since = parse(s.health_evidence.since);
  const passed = seconds(since, now);
  const h = healthWords(s.health);
  const lasting = passed === null ? '' : `for ${span(passed)}`;
  if (s.health === 'stuck' || s.health === 'scaling') {
    const r = reason(s.blocked_reason ?? '', show);
    const says = s.blocked_reason ? (r.short ? `${r.short}: ${r.detail}` : r.detail) : 'no reason was given';
    return { ...h, since: lasting, sinceAt: since, says };
  }
  if (s.health === 'degraded') return { ...h, since: '', sinceAt: null, says: `${failures(s)}. The batch continues` };
  if (s.status !== 'PROCESSING') return waiting(s, now);
  const tier = s.tiers.find(t => t.tier_num === s.health_evidence.tier_num);
  return { ...h, since: '', sinceAt: null, says: moving(s, tier, passed) };
}

function moving(s: Snapshot, tier: TierDiagnostic | undefined, passed: number | null): string {
  if (!tier) return s.tiers.length === 0 ? 'It is running; no event has named a tier yet' : 'It is running';
  const pace = tier.throughput_docs_per_second ? `, ${rate(tier.throughput_docs_per_second)}` : '';
  // The server says where a tier is quiet or paused beyond its own rhythm: then nothing is said to move.
  const open = s.messages.some(m => m.code.startsWith('ACTION:OPEN:'));
  if (passed !== null && (open || passed > quiet)) {
    const limit = s.health_evidence.threshold_seconds;
    return `Tier${nb}${tier.tier_num + 1} made progress ${span(passed)} ago${limit === null ? '' : `, its limit is ${span(limit)}`}`;
  }
  const last = passed === null ? '' : `, last progress ${passed < 1 ? 'just now' : `${span(passed)} ago`}`;
  return `Tier${nb}${tier.tier_num + 1} is making progress${pace}${last}`;
}

function waiting(s: Snapshot, now: number): Verdict {
  const at = parse(s.submitted_at) ?? parse(s.created_at);
  const passed = seconds(at, now);
  const since = passed === null ? '' : `for ${span(passed)}`;
  switch (s.status) {
    case 'DRAFT':
      return { mark: 'pending', word: 'Draft', since, sinceAt: at, says: "It hasn't been submitted" };
    case 'PENDING':
      return { mark: 'pending', word: 'Pending', since, sinceAt: at, says: "It was submitted and hasn't started" };
  }
  return {
    mark: 'unknown',
    word: 'Unknown',
    since: '',
    sinceAt: null,
    says: 'No data yet: no event has told its status',
  };
}

function ended(s: Snapshot, now: number): Verdict {
  const at = parse(s.completed_at);
  const passed = seconds(at, now);
  const since = passed === null ? '' : `${span(passed)} ago`;
  const took = s.duration_seconds === null ? '' : ` after ${span(s.duration_seconds)}`;
  const word = words(s.status);
  switch (s.status) {
    case 'COMPLETED':
      return { mark: 'ok', word, since, sinceAt: at, says: `${documents(s)}${took.replace(' after', ', in')}` };
    case 'COMPLETED_WITH_ERRORS':
      return { mark: 'degraded', word, since, sinceAt: at, says: failures(s) };
    case 'FAILED':
      return {
        mark: 'stuck',
        word,
        since,
        sinceAt: at,
        says: `${failures(s)}${s.failure_category ? ` (${s.failure_category})` : ''}`,
      };
  }
  return { mark: 'unknown', word, since, sinceAt: at, says: s.error ?? `It ended${took}` };
}

function documents(s: Snapshot): string {
  const n = s.performance_summary?.documents_processed ?? 0;
  return n > 0
    ? `${plural(n, 'document')} in ${plural(Math.max(s.total_tiers, s.tiers.length), 'tier')}`
    : 'No document was counted';
}

/** What failed, most telling first. */
export function failures(s: Snapshot): string {
  const failed = s.tiers.filter(t => t.status === 'FAILED');
  const first = failed[0];
  if (first) {
    const named =
      failed.length === 1
        ? `Tier${nb}${first.tier_num + 1}`
        : `${count(failed.length)} of ${count(s.tiers.length)} tiers`;
    const why = first.error ?? jobError(first) ?? s.error;
    return `${named} failed${why ? `: ${firstSentence(why)}` : ''}`;
  }
  const documents = s.tiers.reduce((n, t) => n + t.failed_documents, 0);
  if (documents > 0) return `${plural(documents, 'document')} failed`;
  const jobs = s.tiers.flatMap(t => t.jobs).filter(j => j.status === 'FAILED' && !j.superseded).length;
  if (jobs > 0) return `${plural(jobs, 'job')} failed`;
  if (s.failed_tier_count > 0) return `${plural(s.failed_tier_count, 'tier')} failed`;
  return s.error ? firstSentence(s.error) : 'Something failed';
}

const jobError = (t: TierDiagnostic): string | null =>
  t.jobs.find(j => j.status === 'FAILED' && !j.superseded)?.message ?? null;

function firstSentence(text: string): string {
  const line = text.split('\n')[0] ?? '';
  const end = line.search(/[.!?](\s|$)/);
  return (end > 0 ? line.slice(0, end) : line).slice(0, 240);
}

/** The tier that a reader wants to see first: the one the verdict names, else one that failed, else the open one. */
export function telling(s: Snapshot): number | null {
  const named = s.health_evidence.tier_num;
  if (named !== null && s.tiers.some(t => t.tier_num === named)) return named;
  const failed = s.tiers.find(t => t.status === 'FAILED');
  if (failed) return failed.tier_num;
  const open = s.tiers.find(t => t.tier_num === s.current_tier) ?? s.tiers.find(t => t.status === 'PROCESSING');
  return open?.tier_num ?? s.tiers[0]?.tier_num ?? null;
}
