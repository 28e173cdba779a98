import { BatchFeed } from './batch.ts';
import { Handle } from './handle.ts';
import { ListFeed } from './list.ts';
import { type Sink, type Source, Stream } from './stream.ts';
import { canShare, SharedStream } from './tabs.ts';
import { batchPath, listPath, moment, query, Transport } from './transport.ts';
import type {
  BatchList,
  BatchWatchOptions,
  ClientOptions,
  DaysQuery,
  Explanation,
  FinishedDays,
  FinishedList,
  GroupList,
  GroupQuery,
  HistoryQuery,
  ListQuery,
  ListWatchOptions,
  Row,
  RunList,
  RunQuery,
  Schemas,
  Snapshot,
  Watch,
} from './types.ts';
import { Visibility } from './visibility.ts';

/** Selects parts of a snapshot: only these fields, only these of very many tiers or collections. */
export interface SnapshotOptions {
  signal?: AbortSignal;
  /** As the batch was at this past moment. */
  at?: Date | string;
  fields?: string[];
  tiersOffset?: number;
  tiersLimit?: number;
  collectionsOffset?: number;
  collectionsLimit?: number;
}

export interface TicketOptions {
  signal?: AbortSignal;
  /** The id of the last event that was received (`lastEventId` of an event), to go on from there. */
  lastEventId?: string;
}

/** Reads diagnoses, once or live. Create one per page: all watches of the same thing share its connection. */
export class Headway {
  readonly #transport: Transport;
  readonly #rows: boolean;
  readonly #visibility = new Visibility();
  readonly #scope: string | null; // of the tabs that share a connection; null: they don't
  readonly #batches = new Map<string, BatchFeed>();
  readonly #lists = new Map<string, ListFeed>();

  constructor(options: ClientOptions = {}) {
    this.#transport = new Transport(options);
    this.#rows = options.format !== 'full';
    const share = options.share ?? !options.token;
    this.#scope = share === false ? null : share === true ? '' : share;
  }

  /** Reads the snapshot of a batch, now or `at` a past moment, or the requested fields of it. Rejects with a HeadwayError. */
  diagnostics<F extends keyof Snapshot>(id: string, o: SnapshotOptions & { fields: F[] }): Promise<Pick<Snapshot, F>>;
  diagnostics(id: string, o?: SnapshotOptions): Promise<Snapshot>;
  diagnostics(id: string, o: SnapshotOptions = {}): Promise<Partial<Snapshot>> {
    const q = query({
      at: moment(o.at),
      fields: o.fields,
      tiers_offset: o.tiersOffset,
      tiers_limit: o.tiersLimit,
      collections_offset: o.collectionsOffset,
      collections_limit: o.collectionsLimit,
    });
    return this.#transport.json(batchPath(id) + q, o.signal);
  }

  /** Explains why the health of a batch is what it is; with `at`, what it was at that past moment. */
  explain(id: string, o: { at?: Date | string; signal?: AbortSignal } = {}): Promise<Explanation> {
    return this.#transport.json(`${batchPath(id)}/explain${query({ at: moment(o.at) })}`, o.signal);
  }

  /** Reads one page of batches. Pass its `next_cursor` to read the next one. */
  list(q: ListQuery = {}, o: { signal?: AbortSignal } = {}): Promise<BatchList> {
    return this.#transport.json(listPath(q), o.signal);
  }

  /** Reads which batches have something in common, such as the same cause. */
  groups(q: GroupQuery = {}, o: { signal?: AbortSignal } = {}): Promise<GroupList> {
    return this.#transport.json(listPath(q, '/v1/batches/groups'), o.signal);
  }

  /**
   * Reads one page of the batches that have ended, the latest end first, also of those that `list` no longer has. A page
   * may have no rows and still not be the last one: as long as there is a `next_cursor`, the search goes on there.
   */
  history(q: HistoryQuery = {}, o: { signal?: AbortSignal } = {}): Promise<FinishedList> {
    return this.#transport.json(listPath(q, '/v1/batches/history'), o.signal);
  }

  /** Counts the batches that ended on each day, in UTC. */
  historyDays(q: DaysQuery = {}, o: { signal?: AbortSignal } = {}): Promise<FinishedDays> {
    return this.#transport.json(listPath(q, '/v1/batches/history/days'), o.signal);
  }

  /** Reads the runs of a pipeline with their tiers: those that go on, then those that have ended, the latest end first. */
  runs(pipeline: string, q: RunQuery = {}, o: { signal?: AbortSignal } = {}): Promise<RunList> {
    return this.#transport.json(listPath({ ...q }, `/v1/pipelines/${encodeURIComponent(pipeline)}/runs`), o.signal);
  }

  /**
   * Watches a batch until it has ended or the watch is closed. What is shown never goes back. A batch that nobody has
   * heard of is waited for, at most for `timeout`.
   */
  watchBatch(id: string, o: BatchWatchOptions = {}): Watch<Snapshot> {
    const stream = `${batchPath(id)}/stream`;
    const path = `${stream}?wait=false`;
    const feed = shared(this.#batches, id, gone => {
      return new BatchFeed(id, this.#transport, this.#visibility, s => this.#source(path, s, stream), gone);
    });
    return new Handle(feed, o, o.timeout);
  }

  /** Watches the batches of the namespace until the watch is closed: the newest 200, and each one that changes. */
  watchList(o: ListWatchOptions = {}): Watch<Row[]> {
    const path = `/v1/batches/stream${query({ ids: o.ids && [...new Set(o.ids)].sort() })}`;
    const feed = shared(this.#lists, path, gone => {
      return new ListFeed(this.#visibility, s => this.#source(path, s), gone);
    });
    return new Handle(feed, o);
  }

  /**
   * Asks for a ticket and resolves with the URL of one stream, for an `EventSource`, which can't send a credential. `path`
   * is the path of the stream, with its query if it has one, such as `/v1/batches/stream`. The URL can be used once, within
   * 30 s: when the stream was cut or had the event `problem`, ask for another one.
   */
  async ticketURL(path: string, o: TicketOptions = {}): Promise<string> {
    const { base, namespace } = this.#transport;
    const { ticket } = await this.#transport.json<Schemas['Ticket']>('/v1/stream-tickets', o.signal, { path });
    const url = new URL(base + path);
    if (namespace) url.searchParams.set('namespace', namespace);
    if (o.lastEventId) url.searchParams.set('lastEventId', o.lastEventId);
    url.searchParams.set('ticket', ticket);
    return url.href;
  }

  #source(path: string, sink: Sink, waitPath: string | null = null): Source {
    const open = (to: Sink) => new Stream(this.#transport, path, to, waitPath, waitPath !== null && this.#rows);
    if (this.#scope === null || !canShare()) return open(sink);
    const { base, namespace } = this.#transport;
    // The number is the version of the messages between tabs: tabs with another version of this package don't share.
    return new SharedStream(`headway 2 ${JSON.stringify([this.#scope, base, namespace, path])}`, sink, open);
  }
}

function shared<F>(all: Map<string, F>, key: string, make: (gone: () => void) => F): F {
  let feed = all.get(key);
  if (!feed) {
    feed = make(() => all.delete(key));
    all.set(key, feed);
  }
  return feed;
}
