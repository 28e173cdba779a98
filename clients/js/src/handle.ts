import type { Feed } from './feed.ts';
import type { ConnectionState, Watch, WatchOptions } from './types.ts';

/** Calls what the user gave. What it throws is reported as uncaught, and stops nothing. */
export function call<A extends unknown[]>(f: ((...a: A) => void) | undefined, ...a: A): void {
  try {
    f?.(...a);
  } catch (e) {
    queueMicrotask(() => {
      throw e;
    });
  }
}

/** One user's place at a feed. */
export class Handle<T, O extends WatchOptions> implements Watch<T> {
  readonly hooks: O;
  readonly #feed: Feed<T, O>;
  #closed: { connection: ConnectionState; latest: T | null } | null = null;
  #wakes = new Set<() => void>();
  readonly #onAbort = () => this.close();

  constructor(feed: Feed<T, O>, hooks: O) {
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

  /** Something has changed. */
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
