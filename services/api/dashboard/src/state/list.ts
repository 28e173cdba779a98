// The list: pages from the server as far as they are looked at, kept true by one stream.
import {
  type BatchList,
  type ConnectionState,
  connecting,
  HeadwayError,
  type ListQuery,
  lagBound,
  quietFor,
} from '@headway/client';
import { batch, computed, type Signal, signal } from '@preact/signals';
import type { Counts, Row } from '../api';
import { type Filter, HeldList, noFilter } from '../lib/held';
import { say } from './announce';
import { client } from './client';
import { second } from './clock';
import { refused } from './session';

const page = 200;
/** Changes are shown a few times a second, however many come. */
const showEvery = 200;
const rebuildCheck = 3000;
const countEvery = 2000;

/** Whether batches may be missing for a reason that passes; events that retention took don't come back. */
const passing = (l: BatchList): boolean =>
  l.incomplete && (l.incomplete_reasons ?? [{ type: 'views_rebuilding' }]).some(r => r.type !== 'events_gone');

/** A filter as the server takes it. */
export const queryOf = (f: Filter): ListQuery => ({
  ...(f.health.length ? { health: f.health as never } : {}),
  ...(f.status.length ? { status: f.status as never } : {}),
  ...(f.pipeline.length ? { pipeline: [...f.pipeline] } : {}),
  ...(f.owner.length ? { owner: [...f.owner] } : {}),
  ...(f.cause ? { cause: f.cause } : {}),
  ...(f.alike ? { alike: f.alike } : {}),
  ...(f.from ? { created_after: f.from } : {}),
  ...(f.to ? { created_before: f.to } : {}),
  ...(f.q.trim() ? { q: f.q.trim() } : {}),
});

export class ListStore {
  readonly namespace: string;
  readonly counts = signal<Counts | null>(null);
  readonly order = signal<readonly string[]>([]);
  readonly held = signal(0);
  readonly complete = signal(false);
  /** Why batches may be missing; null while none can be. */
  readonly incomplete = signal<readonly string[] | null>(null);
  readonly error = signal<Error | null>(null);
  private readonly stream = signal<ConnectionState>(connecting);
  private readonly lagging = signal<Date | null>(null);
  readonly connection = computed<ConnectionState>(() => {
    const c = this.stream.value;
    const since = this.lagging.value;
    return c.state === 'live' && since ? { ...c, state: 'behind', staleSince: since } : c;
  });
  /** The moment that the page shows; it stands still while what is shown may be old. */
  readonly now = computed(() => {
    const present = second.value;
    const c = this.connection.value;
    return c.state !== 'live' && c.staleSince ? c.staleSince.getTime() : present;
  });
  /** Where the page was scrolled to when it was left. */
  scrolled = 0;

  private model = new HeldList();
  filter: Filter = noFilter;
  /** What was ticked, in the order of ticking. */
  readonly chosen = signal<readonly string[]>([]);
  /** Rises, at most every two seconds, while something changes: for what is counted by the server. */
  readonly changes = signal(0);
  private told: ReturnType<typeof setTimeout> | undefined;
  private cursor: string | null = null;
  private loading: AbortController | null = null;
  private wanted = 0;
  private stop = new AbortController();
  private changed = new Map<string, Row>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private rebuilding: ReturnType<typeof setTimeout> | undefined;
  private rows = new Map<string, Signal<Row>>();
  private begun = false;
  private quiet: ReturnType<typeof setTimeout> | undefined;

  constructor(namespace: string) {
    this.namespace = namespace;
  }

  row(id: string): Signal<Row> | undefined {
    let s = this.rows.get(id);
    if (!s) {
      const r = this.model.row(id);
      if (!r) return undefined;
      s = signal(r);
      this.rows.set(id, s);
    }
    return s;
  }

  open(): void {
    this.stop = new AbortController();
    if (this.wanted > 0) this.reach(this.wanted); // what was being loaded when the session ended
    client(this.namespace).watchList({
      signal: this.stop.signal,
      onSnapshot: l => {
        this.tell(l.counts);
        this.counts.value = l.counts;
        this.whole(l);
        if (this.begun) void this.refresh(); // what changed while there was no stream
        this.begun = true;
        this.take(l.batches);
      },
      onRows: rows => {
        this.take(rows);
        this.listen();
      },
      onCounts: c => {
        this.tell(c);
        this.counts.value = c;
      },
      onConnection: c => {
        refused(c.error);
        this.stream.value = c;
        this.listen();
      },
    });
    document.addEventListener('visibilitychange', this.hidden, { signal: this.stop.signal });
  }

  close(): void {
    this.stop.abort();
    this.loading?.abort();
    this.loading = null;
    clearTimeout(this.timer);
    this.timer = undefined;
    clearTimeout(this.rebuilding);
    clearTimeout(this.quiet);
    clearTimeout(this.told);
    this.told = undefined;
  }

  /** Shows what a filter leaves, from the start. */
  show(f: Filter): void {
    if (f === this.filter && this.cursor !== null) return;
    this.filter = f;
    this.loading?.abort();
    this.loading = null;
    this.model = new HeldList(f);
    this.cursor = null;
    this.wanted = 0;
    this.fresh = true;
    this.chosen.value = [];
    this.reach(1);
  }

  /** Ticks a batch, or takes the tick away. */
  choose = (id: string): void => {
    const now = this.chosen.value;
    this.chosen.value = now.includes(id) ? now.filter(c => c !== id) : [...now, id];
  };

  private fresh = true; // nothing of the present filter has come yet; what was shown before stays until it does

  /** Loads until the row at `index` is there, or there is no more. */
  reach(index: number): void {
    this.wanted = Math.max(this.wanted, index);
    if (!this.loading) void this.load();
  }

  private async load(): Promise<void> {
    const own = new AbortController();
    this.loading = own;
    try {
      while (!this.model.complete && (this.fresh || this.model.order.length <= this.wanted)) {
        const answer = await client(this.namespace).list(
          { ...this.query(), cursor: this.cursor },
          { signal: own.signal },
        );
        if (own.signal.aborted) return;
        this.model.page(answer.batches, answer.next_cursor === null);
        this.cursor = answer.next_cursor;
        if (this.fresh) this.rows.clear();
        this.fresh = false;
        batch(() => {
          this.error.value = null;
          this.counts.value = answer.counts;
          this.whole(answer);
          this.publish();
        });
      }
    } catch (e) {
      if (own.signal.aborted) return;
      this.error.value = e as Error;
      if (!(e instanceof HeadwayError) || e.passes) this.later(() => this.reach(this.wanted));
    } finally {
      if (this.loading === own) this.loading = null;
    }
  }

  private query(): ListQuery {
    const f = this.filter;
    return {
      ...queryOf(this.filter),
      sort: f.sort,
      limit: page,
    };
  }

  /** Reads again what has been loaded, and treats it as changes. */
  private async refresh(): Promise<void> {
    let cursor: string | null = null;
    try {
      for (let read = 0; read === 0 || read < this.model.order.length; ) {
        const answer: { batches: Row[]; next_cursor: string | null } = await client(this.namespace).list(
          { ...this.query(), cursor },
          { signal: this.stop.signal },
        );
        this.take(answer.batches);
        read += answer.batches.length;
        cursor = answer.next_cursor;
        if (cursor === null) return;
      }
    } catch (e) {
      if (this.stop.signal.aborted) return;
      this.error.value = e as Error; // the next reconnection reads again
    }
  }

  private take(rows: readonly Row[]): void {
    for (const r of rows) this.changed.set(r.batch_id, r);
    this.told ??= setTimeout(() => {
      this.told = undefined;
      this.changes.value++;
    }, countEvery);
    if (this.changed.size && this.timer === undefined && !this.fresh)
      this.timer = setTimeout(() => this.flush(), showEvery);
  }

  private flush(): void {
    this.timer = undefined;
    batch(() => {
      for (const r of this.changed.values()) {
        if (this.model.change(r) === 'elsewhere') continue;
        const s = this.rows.get(r.batch_id);
        const newest = this.model.row(r.batch_id);
        if (s && newest) s.value = newest;
      }
      this.changed.clear();
      // With nothing on screen there is nothing to lose one's place in; nobody reads a hidden page.
      if (this.model.order.length === 0 || document.hidden) this.model.apply();
      this.publish();
    });
  }

  /** Moves what waits to its place. */
  apply = (): void => {
    this.model.apply();
    this.publish();
  };

  private publish(): void {
    if (this.changed.size && this.timer === undefined) this.timer = setTimeout(() => this.flush(), showEvery);
    this.held.value = this.model.held;
    this.complete.value = this.model.complete;
    this.order.value = this.model.order;
  }

  private hidden = (): void => {
    if (document.hidden) this.apply();
  };

  /** While batches may be missing for a reason that passes: asks until it has, then reads again. */
  private whole(l: BatchList): void {
    this.incomplete.value = l.incomplete ? (l.incomplete_reasons ?? []).map(r => r.message) : null;
    clearTimeout(this.rebuilding);
    if (!passing(l)) return;
    this.rebuilding = setTimeout(async () => {
      try {
        const answer = await client(this.namespace).list({ limit: 1 }, { signal: this.stop.signal });
        this.whole(answer);
        if (!passing(answer)) void this.refresh();
      } catch {
        this.whole(l);
      }
    }, rebuildCheck);
  }

  /** A stream that is quiet says nothing of how far the views are: then one batch is asked for that. */
  private listen(): void {
    clearTimeout(this.quiet);
    if (this.stream.value.state !== 'live') {
      this.lagging.value = null;
      return;
    }
    this.quiet = setTimeout(async () => {
      const rows = this.order.peek().map(id => this.model.row(id));
      const open = rows.find(r => r?.status === 'PROCESSING') ?? rows[0];
      try {
        if (open) {
          const o = { signal: this.stop.signal, fields: ['view'] };
          const { view } = await client(this.namespace).diagnostics(open.batch_id, o);
          this.lagging.value = view.lag_seconds > lagBound ? new Date(view.as_of) : null;
        }
      } catch {
        // the stream itself tells of a server that can't be reached
      }
      if (!this.stop.signal.aborted) this.listen();
    }, quietFor);
  }

  private later(f: () => void): void {
    const t = setTimeout(f, 2000);
    this.stop.signal.addEventListener('abort', () => clearTimeout(t));
  }

  private tell(now: Counts): void {
    const was = this.counts.peek();
    if (!was) return;
    const n = now.health;
    if (was.health.stuck === n.stuck && was.health.degraded === n.degraded) return;
    say(`${n.stuck ?? 0} stuck, ${n.degraded ?? 0} degraded`);
  }
}
