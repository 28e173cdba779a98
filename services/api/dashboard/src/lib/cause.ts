// A cause in words. Codes and the words about them are open: one that a later server says is shown as it is.
import type { Cause, Row, Snapshot } from '../api';
import { isOver } from './health';
import { cause, inZone, readable, type Show, words } from './reason';

const certainties: Record<string, string> = {
  known: 'known: a source says so',
  inferred: 'inferred: what is known leaves only this',
  unknown: 'not certain',
};

const actors: Record<string, string> = {
  pipeline: 'whoever wrote or submitted the job',
  platform: 'whoever runs the cluster',
  orchestrator: 'whoever runs the orchestrator',
  producer: 'whoever sends the events',
  nobody: 'nobody',
};

const helps: Record<string, string> = { yes: 'helps', perhaps: 'may help: it can end by itself', no: "doesn't help" };

export const certaintyWords = (c: Cause): string => certainties[c.certainty] ?? words(c.certainty);

const known = (table: Record<string, string>, word: string | null): string =>
  word === null ? '' : (table[word] ?? words(word).toLowerCase());

export const actorWords = (c: Cause): string => known(actors, c.who_acts);
export const waitingWords = (c: Cause): string => known(helps, c.waiting_helps);

/** IMAGE:PULL_FAILED as "Image: pull failed". */
export function codeWords(code: string): string {
  const [area, rest] = code.split(':');
  return rest ? `${words(area ?? '')}: ${words(rest).toLowerCase()}` : words(code);
}

/** What a source lists (holders, fixes, what was asked), a text each: objects by their fields. */
export const listed = (list: unknown): string[] => (Array.isArray(list) ? list.map(said).filter(Boolean) : []);

function said(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map(said).filter(Boolean).join(', ');
  if (typeof value !== 'object') return String(value);
  const fields = value as Record<string, unknown>;
  if (fields.truncated === true) return `more than is kept (${fields.bytes} bytes)`;
  return Object.keys(fields)
    .sort()
    .map(key => [key.replaceAll('_', ' '), said(fields[key])])
    .filter(([, text]) => text)
    .map(parts => parts.join(' '))
    .join(', ');
}

export type Figure = 'progress' | 'expected' | 'times' | 'pace';

// What each doubt makes doubtful.
const bears: Record<string, Figure[]> = {
  'REPORTING:REFUSED': ['progress', 'expected'],
  'REPORTING:COUNT_WENT_BACK': ['progress', 'expected', 'pace'],
  'REPORTING:CLOCK': ['times', 'expected', 'pace'],
  'REPORTING:LATE': ['times', 'expected'],
  'REPORTING:FIRST_REPORT_LATE': ['times', 'pace'],
  'REPORTING:SOURCE_SILENT': ['progress', 'expected'],
};

/** The doubts that bear on a figure; one that isn't known bears on all. */
export const doubtsAbout = (s: Snapshot, figure: Figure): Cause[] =>
  s.doubts.filter(d => (bears[d.code] ?? [figure]).includes(figure));

/** The first cause of each code, with the number of further ones: thousands of tiers may have the same. */
export function byCode(all: Cause[]): [Cause, number][] {
  const found = new Map<string, [Cause, number]>();
  for (const c of all) {
    const same = found.get(c.code);
    if (same) same[1]++;
    else found.set(c.code, [c, 0]);
  }
  return [...found.values()];
}

/** The cause of a row in words, or what there is to say without one. */
export function because(r: Row, show?: Show): string {
  if (r.blocked_reason) return cause(r.blocked_reason, show);
  if (r.sentence) return capital(inZone(readable(r.sentence), show));
  if (r.cause) return codeWords(r.cause);
  if (r.health === 'degraded') return isOver(r.status) ? 'No event says why' : 'Something failed; it goes on';
  switch (r.status) {
    case 'PROCESSING':
      return 'In progress';
    case 'PENDING':
      return 'Submitted, not started';
    case 'DRAFT':
      return 'Not submitted';
    case 'UNKNOWN':
      return 'No data yet';
  }
  return r.status === 'COMPLETED' ? 'All tiers are done' : r.status === 'SKIPPED' ? 'Nothing was run' : 'It was ended';
}

/** With a large letter, unless it begins with a name. */
const capital = (text: string): string => (/^[a-z]+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text);
