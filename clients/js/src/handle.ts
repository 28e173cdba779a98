import { call } from './call.ts';
import { HeadwayError } from './errors.ts';
import type { ConnectionState, Watch, WatchOptions } from './types.ts';

/** What a handle needs of its feed. */
export interface Shared<T, H> {
  readonly connection: ConnectionState;
  readonly latest: T | null;
  add(h: H): void;
  remove(h: H): void;
}

/** Milliseconds beyond which timers fire at once. */
const longest = 2 ** 31 - 1;

/** One user's handle on a feed. */
export class Handle<T, O extends WatchOptions> implements Watch<T> {
  readonly hooks: O;
  readonly #feed: Shared<T, Handle<T, O>>;
  #closed: { connection: ConnectionState; latest: T | null } | null = null;
  readonly #limit: number | undefined; // milliseconds to wait for what is watched to begin
  #timer: ReturnType<typeof setTimeout> | undefined; // runs from when it is known not to have begun
  #failure: HeadwayError | null = null; // it was waited for in vain
  #wakes = new Set<() => void>();
  readonly #onAbort = () => this.close();

  constructor(feed: Shared<T, Handle<T, O>>, hooks: O, limit?: number) {
    this.#feed = feed;
    this.hooks = hooks;
    this.#limit = limit;
    feed.add(this);
    if (hooks.signal?.aborted) this.close();
    else hooks.signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#limitWait();
  }

  get connection(): ConnectionState {
    return this.#closed?.connection ?? this.#feed.connection;
  }

  get latest(): T | null {
    return this.#closed ? this.#closed.latest : this.#feed.latest;
  }

  get closed(): boolean {
    return this.#closed !== null;
  }

  close(): void {
    this.#close(this.#feed.connection);
  }

  #close(connection: ConnectionState): void {
    if (this.#closed) return;
    this.#closed = { connection, latest: this.#feed.latest };
    clearTimeout(this.#timer);
    this.hooks.signal?.removeEventListener('abort', this.#onAbort);
    this.#feed.remove(this);
    this.wake();
  }

  /** Called when something has changed. */
  wake(): void {
    this.#limitWait();
    for (const w of this.#wakes) w();
  }

  #limitWait(): void {
    if (this.#limit === undefined || this.#limit > longest || this.#closed) return;
    if (this.#feed.latest !== null) clearTimeout(this.#timer);
    else if (this.#feed.connection.state === 'waiting') this.#timer ??= setTimeout(() => this.#giveUp(), this.#limit);
  }

  #giveUp(): void {
    const message = `no such batch: it did not begin within ${this.#limit} ms`;
    const error = new HeadwayError(message, { status: 404, type: 'not_found' });
    this.#failure = error;
    const connection: ConnectionState = { state: 'refused', staleSince: null, nextTry: null, error };
    this.#close(connection);
    call(this.hooks.onConnection?.bind(this.hooks), connection);
    call(this.hooks.onError?.bind(this.hooks), error);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let seen: T | null = null;
    try {
      for (;;) {
        if (this.#failure) throw this.#failure;
        if (this.#closed) return;
        const { latest, connection } = this;
        if (latest !== null && latest !== seen) {
          seen = latest;
          yield latest;
        } else if (connection.state === 'ended') {
          return;
        } else if (connection.state === 'refused' && connection.error) {
          throw connection.error;
        } else {
          await new Promise<void>(resolve => {
            const wake = () => {
              this.#wakes.delete(wake);
              resolve();
            };
            this.#wakes.add(wake);
          });
        }
      }
    } finally {
      this.close();
    }
  }
}
