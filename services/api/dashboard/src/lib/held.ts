// A list that is read while it changes. Values of rows on screen change in place; what would move them
// (a new row, one that changes its place, one that no longer fits the filter) waits until it is asked for.
import type { Row } from '../api';
import { before, type Sort, type Spot, spot } from './columns';

export interface Filter {
  health: readonly string[];
  status: readonly string[];
  q: string;
  pipeline: readonly string[];
  owner: readonly string[];
  cause: string;
  alike: string;
  /** By the time that a row is ordered by; null: without a bound. */
  from: Date | null;
  to: Date | null;
  sort: Sort;
}

export const noFilter: Filter = {
  health: [],
  status: [],
  q: '',
  pipeline: [],
  owner: [],
  cause: '',
  alike: '',
  from: null,
  to: null,
  sort: 'need',
};

/** Whether anything is left out. */
export const filters = (f: Filter): boolean =>
  f.health.length + f.status.length + f.pipeline.length + f.owner.length > 0 ||
  f.q.trim() !== '' ||
  f.cause !== '' ||
  f.alike !== '' ||
  f.from !== null ||
  f.to !== null;

/** As the server filters, so that a row that comes by the stream is judged alike. */
export function fits(row: Row, f: Filter): boolean {
  if (f.health.length && !f.health.includes(row.health)) return false;
  if (f.status.length && !f.status.includes(row.status)) return false;
  if (f.pipeline.length && !f.pipeline.includes(row.pipeline ?? '')) return false;
  if (f.owner.length && !f.owner.includes(row.owner ?? '')) return false;
  if ((f.cause && row.cause !== f.cause) || (f.alike && row.alike !== f.alike)) return false;
  const ordered = Date.parse(row.ordered_at);
  if ((f.from && ordered < f.from.getTime()) || (f.to && ordered >= f.to.getTime())) return false;
  const q = f.q.trim().toLowerCase();
  return q === '' || searched(row).includes(q);
}

function searched(row: Row): string {
  const labels = Object.entries((row.labels ?? {}) as Record<string, unknown>).map(
    ([k, v]) => `${k}:${typeof v === 'string' ? v : JSON.stringify(v)}`,
  );
  return [row.batch_id, row.batch_name, row.pipeline ?? '', row.owner ?? '', ...labels.sort()].join('\0').toLowerCase();
}

export type Change = 'shown' | 'held' | 'elsewhere';

/** HeldList keeps the order that is shown, the newest state of each row, and what waits. */
export class HeldList {
  private filter: Filter;
  private spots = new Map<string, Spot>(); // of what is shown, as it is shown
  private newest = new Map<string, Row>(); // of what is shown or waits
  private waiting = new Set<string>();
  private tail: Spot | null = null; // of the last page; what sorts behind it hasn't been asked for
  /** Ids as shown. Another array whenever it is another order. */
  order: readonly string[] = [];
  complete = false;

  constructor(filter: Filter = noFilter) {
    this.filter = filter;
  }

  private spot(row: Row): Spot {
    return spot(row, this.filter.sort);
  }

  private before(a: Spot, b: Spot): number {
    return before(a, b, this.filter.sort);
  }

  get held(): number {
    return this.waiting.size;
  }

  row(id: string): Row | undefined {
    return this.newest.get(id);
  }

  /** Takes in the next page of the server. A row that came before, or waits, keeps its place. */
  page(rows: readonly Row[], last: boolean): void {
    const added: string[] = [];
    for (const row of rows) {
      if (this.spots.has(row.batch_id)) {
        this.change(row);
        continue;
      }
      this.keep(row);
      this.waiting.delete(row.batch_id);
      this.spots.set(row.batch_id, this.spot(row));
      added.push(row.batch_id);
    }
    this.order = [...this.order, ...added];
    const end = rows[rows.length - 1];
    if (end) this.tail = this.spot(end);
    this.complete = last;
  }

  /** Takes in a row that changed. "shown": its values, where it stands. "held": it waits. */
  change(row: Row): Change {
    const id = row.batch_id;
    const old = this.newest.get(id);
    if (old && older(row, old)) return this.spots.has(id) ? 'shown' : 'elsewhere';
    const shown = this.spots.get(id);
    const wanted = fits(row, this.filter);
    const place = this.spot(row);
    if (shown) {
      this.keep(row);
      if (wanted && this.before(shown, place) === 0) this.waiting.delete(id);
      else this.waiting.add(id);
      return this.waiting.has(id) ? 'held' : 'shown';
    }
    if (!wanted || !this.reached(place)) {
      this.waiting.delete(id);
      this.newest.delete(id);
      return 'elsewhere';
    }
    this.keep(row);
    this.waiting.add(id);
    return 'held';
  }

  /** Moves everything to its place. */
  apply(): void {
    for (const id of this.waiting) {
      const row = this.newest.get(id);
      if (!row) continue;
      const place = this.spot(row);
      if (fits(row, this.filter) && this.reached(place)) this.spots.set(id, place);
      else {
        this.spots.delete(id);
        this.newest.delete(id);
      }
    }
    this.waiting.clear();
    this.order = [...this.spots.values()].sort((a, b) => this.before(a, b)).map(s => s.id);
  }

  private reached(place: Spot): boolean {
    return this.complete || (this.tail !== null && this.before(place, this.tail) <= 0);
  }

  private keep(row: Row): void {
    const old = this.newest.get(row.batch_id);
    if (!old || !older(row, old)) this.newest.set(row.batch_id, row);
  }
}

/** Whether a row is older than another of the same batch: by revision, and of one revision by moment. */
function older(row: Row, than: Row): boolean {
  if (row.revision !== than.revision) return row.revision < than.revision;
  return Date.parse(row.as_of) < Date.parse(than.as_of);
}

/** How many rows a filter leaves, where the counters tell; null where only reading to the end does. */
export function expected(
  counts: { total: number; health: Record<string, number>; status: Record<string, number> } | null,
  f: Filter,
): number | null {
  if (!counts || filters({ ...f, health: [], status: [] })) return null;
  if (f.health.length && f.status.length) return null;
  const sum = (of: Record<string, number>, names: readonly string[]): number =>
    names.reduce((n, name) => n + (of[name] ?? 0), 0);
  if (f.health.length) return sum(counts.health, f.health);
  if (f.status.length) return sum(counts.status, f.status);
  return counts.total;
}
