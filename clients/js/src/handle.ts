import type { ConnectionState, Watch, WatchOptions } from './types.ts';

/** What a handle needs of its feed. */
export interface Shared<T, H> {
  readonly connection: ConnectionState;
  readonly latest: T | null;
  add(h: H): void;
  remove(h: H): void;
}

/** One user's handle on a feed. */
export class Handle<T, O extends WatchOptions> implements Watch<T> {
  readonly hooks: O;
  readonly #feed: Shared<T, Handle<T, O>>;
  #closed: { connection: ConnectionState; latest: T | null } | null = null;
  #wakes = new Set<() => void>();
  readonly #onAbort = () => this.close();

  constructor(feed: Shared<T, Handle<T, O>>, hooks: O) {
    this.#feed = feed;
    this.hooks = hooks;
    feed.add(this);
    if (hooks.signal?.aborted) this.close();
    else hooks.signal?.addEventListener('abort', this.#onAbort, { once: true });
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
    if (this.#closed) return;
    this.#closed = { connection: this.#feed.connection, latest: this.#feed.latest };
    this.hooks.signal?.removeEventListener('abort', this.#onAbort);
    this.#feed.remove(this);
    this.wake();
  }

  /** Called when something has changed. */
  wake(): void {
    for (const w of this.#wakes) w();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let seen: T | null = null;
    try {
      for (;;) {
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
