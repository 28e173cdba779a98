import { call } from './call.ts';
import { connecting, same, step } from './connection.ts';
import type { Handle } from './handle.ts';
import type { Message, Sink, Source } from './stream.ts';
import type { ConnectionState, WatchOptions } from './types.ts';
import type { Visibility } from './visibility.ts';

/**
 * What all who watch the same thing share: its newest state and its one source. It lives from the first of them to the
 * last.
 *
 *     idle ──first handle──▶ running ◀──hidden, shown──▶ paused
 *      ▲                        │
 *      └──────last handle───────┘
 */
export abstract class Feed<T, O extends WatchOptions> implements Sink {
  abstract readonly latest: T | null;
  protected readonly handles = new Set<Handle<T, O>>();
  readonly #visibility: Visibility;
  readonly #makeSource: (sink: Sink) => Source;
  readonly #gone: () => void;
  #source: Source | null = null;
  #connection = connecting;
  #shown = connecting;
  #forget: (() => void) | null = null;
  #running: boolean | null = null; // null: not started

  constructor(visibility: Visibility, makeSource: (sink: Sink) => Source, gone: () => void) {
    this.#visibility = visibility;
    this.#makeSource = makeSource;
    this.#gone = gone;
  }

  /** Takes a message and notifies the handles. */
  abstract message(m: Message): void;
  abstract lastId(): string;
  abstract replay(): Message[];
  /** Brings a handle that was added later up to date. */
  protected abstract greet(h: Handle<T, O>): void;
  /** The connection to show, given what the source reports. */
  protected overlay(c: ConnectionState): ConnectionState {
    return c;
  }
  /** Called when the connection has changed, or the feed was stopped. */
  protected moved(_: ConnectionState | null): void {}

  get connection(): ConnectionState {
    return this.#shown;
  }

  protected get own(): boolean {
    return this.#source?.own ?? false;
  }

  add(h: Handle<T, O>): void {
    if (!this.#forget) {
      this.#forget = this.#visibility.watch(
        hidden => this.#set(!hidden),
        () => this.#source?.hurry(),
      );
      this.#set(!this.#visibility.hidden);
    }
    this.handles.add(h); // only now, so that nothing is called before the caller has the handle
    const shown = this.#shown;
    queueMicrotask(() => {
      if (h.closed) return;
      if (shown === this.#shown) call(h.hooks.onConnection?.bind(h.hooks), shown);
      this.greet(h);
    });
  }

  remove(h: Handle<T, O>): void {
    this.handles.delete(h);
    // The connection is kept if one watch is closed and the same one opened right after.
    if (this.handles.size === 0) setTimeout(() => this.handles.size === 0 && this.#end(), 0);
  }

  #end(): void {
    if (!this.#forget) return;
    this.#forget();
    this.#forget = null;
    this.#running = null;
    this.#source?.stop();
    this.#source = null;
    this.moved(null);
    this.#gone();
  }

  #set(run: boolean): void {
    if (run === this.#running || this.#connection.state === 'ended') return;
    this.#running = run;
    if (run) {
      this.connected(connecting);
      this.#source ??= this.#makeSource(this);
      this.#source.start();
    } else {
      this.#source?.stop();
      this.connected({ state: 'paused', staleSince: null, nextTry: null, error: null });
    }
  }

  /** Delivers what was learned outside of the stream to all handles, in all tabs. */
  protected inject(m: Message): void {
    this.#source?.inject(m);
  }

  /** Sink: what the source reports about its connection. */
  connected(c: ConnectionState): void {
    const now = step(this.#connection, c, this.#shown, this.latest !== null, () => new Date());
    if (!now) return;
    this.#connection = now;
    this.moved(c);
    this.refresh();
    if (c.state === 'ended') this.#source?.stop();
  }

  /** Shows the connection again if it differs from what is shown. */
  protected refresh(): void {
    const before = this.#shown;
    const now = this.overlay(this.#connection);
    if (same(before, now)) return;
    this.#shown = now;
    this.#source?.shown?.(now);
    for (const h of this.handles) {
      call(h.hooks.onConnection?.bind(h.hooks), now);
      if (now.error && now.error !== before.error) call(h.hooks.onError?.bind(h.hooks), now.error);
      h.wake();
    }
  }
}
