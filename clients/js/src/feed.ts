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
  #running: boolean | null = null; // null: not begun

  constructor(visibility: Visibility, makeSource: (sink: Sink) => Source, gone: () => void) {
    this.#visibility = visibility;
    this.#makeSource = makeSource;
    this.#gone = gone;
  }

  /** Takes a message in, and tells the handles. */
  abstract message(m: Message): void;
  abstract lastId(): string;
  abstract replay(): Message[];
  /** Tells one that has come late where things stand. */
  protected abstract greet(h: Handle<T, O>): void;
  /** What is shown of the connection, given what the source says. */
  protected overlay(c: ConnectionState): ConnectionState {
    return c;
  }
  /** The connection has changed, or the feed was stopped. */
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
    this.handles.add(h); // only now: nothing is called before its maker has it
    const shown = this.#shown;
    queueMicrotask(() => {
      if (h.closed) return;
      if (shown === this.#shown) call(h.hooks.onConnection?.bind(h.hooks), shown);
      this.greet(h);
    });
  }

  remove(h: Handle<T, O>): void {
    this.handles.delete(h);
    // Who closes one watch and opens the same in the next moment keeps the connection.
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

  /** Delivers what was learned beside the stream, to all who share it. */
  protected inject(m: Message): void {
    this.#source?.inject(m);
  }

  /** Sink: what the source says of its connection. */
  connected(c: ConnectionState): void {
    const now = step(this.#connection, c, this.#shown, this.latest !== null, () => new Date());
    if (!now) return;
    this.#connection = now;
    this.moved(c);
    this.refresh();
    if (c.state === 'ended') this.#source?.stop();
  }

  /** Shows the connection anew, if that differs from what is shown. */
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
