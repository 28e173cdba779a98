import { call } from './call.ts';
import { connecting, next } from './connection.ts';
import { HeadwayError } from './errors.ts';
import { Feed } from './feed.ts';
import type { Handle } from './handle.ts';
import type { Message, Sink, Source } from './stream.ts';
import { batchPath, type Transport } from './transport.ts';
import type { BatchWatchOptions, ConnectionState, Snapshot, ViewInfo } from './types.ts';
import type { Visibility } from './visibility.ts';

/** How many seconds the server's views may lag before the connection counts as `behind`. */
export const lagBound = 10;
/**
 * Milliseconds without a message after which the batch is also read with a GET, to learn whether the stream is
 * complete or delayed.
 */
export const quietFor = 15_000;
/** The same while the views are known to lag, or there is nothing to show yet. */
const quietForBehind = 5_000;

/**
 * Whether `next` may replace `shown`: within one stream identity only a newer revision may, or the same one from
 * another fold version or at a later moment, since some things change with time alone.
 */
export function newer(next: ViewInfo, shown: ViewInfo | undefined): boolean {
  if (newerRevision(next, shown)) return true;
  return next.id === shown?.id && Date.parse(next.as_of) > Date.parse(shown.as_of);
}

/** Whether events were folded into `next` that `shown` doesn't have, or another fold version made it. */
function newerRevision(next: ViewInfo, shown: ViewInfo | undefined): boolean {
  if (!shown || streamOf(next.id) !== streamOf(shown.id)) return true;
  return next.revision > shown.revision || (next.revision === shown.revision && next.id !== shown.id);
}

/** The stream identity of a revision id, `<identity>-<fold version>-<revision>`. */
function streamOf(id: string): string {
  return id.slice(0, id.indexOf('-'));
}

export class BatchFeed extends Feed<Snapshot, BatchWatchOptions> {
  latest: Snapshot | null = null;
  #latestId = ''; // of the event that brought it
  readonly #path: string;
  readonly #transport: Transport;
  #behind: Date | null = null; // the time that the server's views show, if that is long ago
  #open = false; // the stream is connected
  #cuts = 0; // connections lost since the last message
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking: AbortController | null = null;
  #ended = false;

  constructor(
    id: string,
    transport: Transport,
    visibility: Visibility,
    makeSource: (sink: Sink) => Source,
    gone: () => void,
  ) {
    super(visibility, makeSource, gone);
    this.#path = batchPath(id);
    this.#transport = transport;
  }

  override lastId(): string {
    return this.#latestId;
  }

  override replay(): Message[] {
    return this.latest ? [{ event: this.#ended ? 'end' : 'snapshot', data: this.latest, id: this.#latestId }] : [];
  }

  override message(m: Message): void {
    if (!['snapshot', 'update', 'health', 'end'].includes(m.event)) return; // an event of a later version
    const s = m.data as Snapshot;
    if (newer(s.view, this.latest?.view)) {
      this.#latestId = m.id ?? s.view.id;
      this.#show(s);
    }
    // The batch has begun, and this was read beside the stream, which would have reported that it is live.
    if (this.connection.state === 'waiting') this.connected(connecting);
    this.#cuts = 0;
    this.#await();
    if (m.event !== 'end' || this.#ended) return;
    this.#ended = true;
    for (const h of this.handles) call(h.hooks.onEnd?.bind(h.hooks), this.latest ?? s);
  }

  #show(s: Snapshot): void {
    const from = this.latest?.health;
    this.latest = s;
    this.#judge(s.view);
    for (const h of this.handles) {
      call(h.hooks.onSnapshot?.bind(h.hooks), s);
      if (from !== undefined && from !== s.health) call(h.hooks.onHealth?.bind(h.hooks), s, from);
      h.wake();
    }
  }

  protected override greet(h: Handle<Snapshot, BatchWatchOptions>): void {
    if (!this.latest) return;
    call(h.hooks.onSnapshot?.bind(h.hooks), this.latest);
    if (this.#ended) call(h.hooks.onEnd?.bind(h.hooks), this.latest);
  }

  protected override overlay(c: ConnectionState): ConnectionState {
    if (c.state !== 'live' || !this.own || !this.#behind) return c;
    return { ...c, state: next[c.state].lag, staleSince: this.#behind };
  }

  #judge(v: ViewInfo): void {
    this.#behind = v.lag_seconds > lagBound ? new Date(v.as_of) : null;
    this.refresh();
  }

  protected override moved(c: ConnectionState | null): void {
    if (c?.state === 'ended' && !this.#ended && this.latest) {
      this.message({ event: 'end', data: this.latest }); // the server knows that we have the final state
    }
    this.#open = c?.state === 'live' || c?.state === 'connecting' || c?.state === 'waiting';
    this.#await();
    const cut = c?.state === 'disconnected' && c.nextTry && c.error instanceof HeadwayError && c.error.type === 'cut';
    if (cut && this.own && ++this.#cuts > 1) void this.#look(); // the stream is accepted but cut repeatedly without a message: read with GET
  }

  /** Reads the batch with a GET once the stream has been quiet for a while. */
  #await(after = this.#behind || !this.latest ? quietForBehind : quietFor): void {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#asking = null;
    if (this.#open && this.own && !this.#ended) this.#timer = setTimeout(() => void this.#look(), after);
  }

  async #look(): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    try {
      const { view } = await this.#transport.json<{ view: ViewInfo }>(`${this.#path}?fields=view`, asking.signal);
      if (newerRevision(view, this.latest?.view)) {
        // Something delays the stream. Until that ends, updates arrive this way.
        this.inject({ event: 'update', data: await this.#transport.json<Snapshot>(this.#path, asking.signal) });
        this.#await(quietForBehind);
        return;
      }
      const lost = this.latest !== null && newerRevision(this.latest.view, view); // the server has not caught up with what is shown
      this.#judge(lost ? { ...view, lag_seconds: Number.POSITIVE_INFINITY } : view);
    } catch (e) {
      // The views are being rebuilt, so nothing newer is known. If the server is unreachable, the stream reports it.
      if (e instanceof HeadwayError && e.status === 503 && this.latest)
        this.#behind ??= new Date(this.latest.view.as_of);
      this.refresh();
    }
    if (!asking.signal.aborted) this.#await();
  }
}
