// The columns of the list, and the orders that it can have. The server's `sort` has the same names.
import type { Row } from '../api';
import { healths } from './health';

/** Those that can be chosen; health, and the batch with its cause, are always there. */
export const optional = ['tier', 'progress', 'pace', 'eta', 'pipeline', 'owner', 'started', 'took', 'age'] as const;
export type Column = (typeof optional)[number];

export const usual: readonly Column[] = ['tier', 'progress', 'pace', 'eta', 'age'];

const sortable = ['name', 'pipeline', 'owner', 'progress', 'started', 'took', 'expected'] as const;
type Sortable = (typeof sortable)[number];
export type Sort = 'need' | 'newest' | Sortable | `-${Sortable}`;

export interface Head {
  label: string;
  /** Of the column, for the grid. */
  width: string;
  /** The order that it gives: the first click, and the second. */
  sorts: [Sort, Sort] | [Sort] | [];
}

export const heads: Record<Column | 'health' | 'name', Head> = {
  health: { label: 'Health', width: '7.25rem', sorts: ['need'] },
  name: { label: 'Batch and cause', width: 'minmax(0, 1fr)', sorts: ['name', '-name'] },
  tier: { label: 'Tier', width: '4rem', sorts: [] },
  progress: { label: 'Progress', width: '10rem', sorts: ['-progress', 'progress'] },
  pace: { label: 'Pace', width: '6.25rem', sorts: [] },
  eta: { label: 'Expected', width: '9rem', sorts: ['expected', '-expected'] },
  pipeline: { label: 'Pipeline', width: '8rem', sorts: ['pipeline', '-pipeline'] },
  owner: { label: 'Owner', width: '6.5rem', sorts: ['owner', '-owner'] },
  started: { label: 'Started', width: '7.5rem', sorts: ['-started', 'started'] },
  took: { label: 'Took', width: '7rem', sorts: ['-took', 'took'] },
  age: { label: 'Age', width: '4rem', sorts: ['newest'] },
};

export function sortOf(text: string | null): Sort {
  const known = text === 'newest' || sortable.includes((text ?? '').replace(/^-/, '') as Sortable);
  return known ? (text as Sort) : 'need';
}

/** Where a row stands: what its order depends on, and nothing else. */
export interface Spot {
  /** Of the column; null: it has no value, and comes last. */
  key: number | string | null;
  ordered: string;
  id: string;
}

/** A time as text that sorts: fractions of a second differ in length. */
function orderable(time: string): string {
  const [whole = '', fraction = ''] = time.replace(/Z$/, '').split('.');
  return `${whole}.${fraction.padEnd(9, '0')}`;
}

const text = (s: string | null): string | null => s?.toLowerCase() || null;

/** Seconds that a batch took, or has taken up to its last event. */
export function took(row: Row): number | null {
  if (!row.started_at) return null;
  const end = row.completed_at ?? row.last_activity_at ?? row.started_at;
  return Math.max(0, (Date.parse(end) - Date.parse(row.started_at)) / 1000);
}

const keys: Record<string, (row: Row) => number | string | null> = {
  newest: () => 0,
  need: row => {
    const i = (healths as readonly string[]).indexOf(row.health);
    return i < 0 ? healths.length : i;
  },
  name: row => text(row.batch_name),
  pipeline: row => text(row.pipeline),
  owner: row => text(row.owner),
  progress: row => Math.trunc(row.overall_progress * 100),
  started: row => row.started_at && orderable(row.started_at),
  took,
  expected: row => row.eta && orderable(row.eta.p50),
};

export function spot(row: Row, sort: Sort): Spot {
  const key = keys[sort.replace(/^-/, '')]?.(row) ?? null;
  return { key, ordered: orderable(row.ordered_at), id: row.batch_id };
}

/** As the server sorts, so that a row that comes by the stream finds its place. */
export function before(a: Spot, b: Spot, sort: Sort): number {
  if (a.key !== b.key) {
    if (a.key === null) return 1;
    if (b.key === null) return -1;
    return (a.key < b.key ? -1 : 1) * (sort.startsWith('-') ? -1 : 1);
  }
  if (a.ordered !== b.ordered) return a.ordered > b.ordered ? -1 : 1;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
