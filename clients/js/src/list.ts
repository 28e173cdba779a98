import { call } from './call.ts';
import { Feed } from './feed.ts';
import type { Handle } from './handle.ts';
import type { Message } from './stream.ts';
import type { BatchList, Counts, ListWatchOptions, Row } from './types.ts';

/** The most rows that are kept. Beyond it the rows of the oldest batches are dropped. */
const maxRows = 10_000;

export class ListFeed extends Feed<Row[], ListWatchOptions> {
  readonly #rows = new Map<string, Row>();
  #sorted: Row[] | null = null;
  #begun = false;
  #counts: Counts | null = null;
  #missing: Pick<BatchList, 'incomplete' | 'incomplete_reasons'> = { incomplete: false };

  /** All rows that are known, newest first. */
  override get latest(): Row[] | null {
    if (!this.#begun) return null;
    this.#sorted ??= [...this.#rows.values()].sort(newestFirst);
    return this.#sorted;
  }

  /** A list isn't resumed; it is always read from scratch. */
  override lastId(): string {
    return '';
  }

  override replay(): Message[] {
    const l = this.#list();
    return l ? [{ event: 'snapshot', data: l }] : [];
  }

  override message(m: Message): void {
    switch (m.event) {
      case 'snapshot':
        this.#begin(m.data as BatchList);
        break;
      case 'update':
        this.#change(m.data as Row);
        break;
      case 'removed':
        this.#remove((m.data as Pick<Row, 'batch_id'>).batch_id);
        break;
      case 'counts':
        this.#counts = m.data as Counts;
        for (const h of this.handles) call(h.hooks.onCounts?.bind(h.hooks), this.#counts);
        break;
      default: // an event of a later version
    }
  }

  #begin(l: BatchList): void {
    // While views are being rebuilt or lag, rows may be missing or outdated, so what is shown is kept.
    const passes = l.incomplete && l.incomplete_reasons?.every(r => r.type === 'events_gone') !== true;
    const kept = passes && this.#begun;
    if (!kept) this.#rows.clear();
    for (const r of l.batches) {
      if (!kept || !older(r, this.#rows.get(r.batch_id))) this.#rows.set(r.batch_id, r);
    }
    this.#sorted = null;
    this.#begun = true;
    this.#counts = l.counts;
    const { incomplete, incomplete_reasons } = l;
    this.#missing = incomplete_reasons ? { incomplete, incomplete_reasons } : { incomplete };
    const all = this.#list() ?? l;
    for (const h of this.handles) {
      call(h.hooks.onSnapshot?.bind(h.hooks), all);
      call(h.hooks.onCounts?.bind(h.hooks), l.counts);
      h.wake();
    }
  }

  #change(r: Row): void {
    this.#rows.set(r.batch_id, r);
    this.#sorted = null;
    if (this.#rows.size > maxRows) {
      for (const old of (this.latest ?? []).slice(maxRows - maxRows / 10)) this.#rows.delete(old.batch_id);
      this.#sorted = null;
    }
    for (const h of this.handles) {
      call(h.hooks.onRows?.bind(h.hooks), [r]);
      h.wake();
    }
  }

  /** Drops a batch that was erased. */
  #remove(id: string): void {
    if (!this.#rows.delete(id)) return;
    this.#sorted = null;
    const all = this.#list();
    for (const h of this.handles) {
      if (all) call(h.hooks.onSnapshot?.bind(h.hooks), all);
      h.wake();
    }
  }

  #list(): BatchList | null {
    const { latest } = this;
    if (!latest || !this.#counts) return null;
    return { batches: latest, counts: this.#counts, next_cursor: null, ...this.#missing };
  }

  protected override greet(h: Handle<Row[], ListWatchOptions>): void {
    const l = this.#list();
    if (!l) return;
    call(h.hooks.onSnapshot?.bind(h.hooks), l);
    call(h.hooks.onCounts?.bind(h.hooks), l.counts);
  }
}

function newestFirst(a: Row, b: Row): number {
  const d = Date.parse(b.ordered_at) - Date.parse(a.ordered_at);
  return d || (a.batch_id < b.batch_id ? 1 : -1);
}

/** Whether a row is older than another of the same batch: by revision, and of one revision by moment. */
function older(row: Row, than: Row | undefined): boolean {
  if (!than || row.revision !== than.revision) return row.revision < (than?.revision ?? -1);
  return Date.parse(row.as_of) < Date.parse(than.as_of);
}
