/** How long a page may be hidden before its connections are closed, so that switching between tabs doesn't reconnect. */
const grace = 10_000;

/** Whether the page has been hidden for a while. It never is outside of a browser page. */
export class Visibility {
  hidden = false;
  readonly #listeners = new Set<{ changed(hidden: boolean): void; online(): void }>();
  readonly #page: Document | undefined = globalThis.document;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #changed = () => {
    clearTimeout(this.#timer);
    if (this.#page?.visibilityState !== 'hidden') this.#set(false);
    else if (!this.hidden) this.#timer = setTimeout(() => this.#set(true), grace);
  };
  // A page that is frozen or discarded gets no later chance to close its connections.
  readonly #frozen = () => {
    clearTimeout(this.#timer);
    this.#set(true);
  };

  readonly #online = () => {
    for (const l of this.#listeners) l.online();
  };

  /** Reports changes, and the return of the network, until the returned function is called. */
  watch(changed: (hidden: boolean) => void, online: () => void): () => void {
    const listener = { changed, online };
    if (this.#listeners.size === 0) this.#listen('addEventListener');
    this.#listeners.add(listener);
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#listen('removeEventListener');
    };
  }

  #set(hidden: boolean): void {
    if (hidden === this.hidden) return;
    this.hidden = hidden;
    for (const l of this.#listeners) l.changed(hidden);
  }

  #listen(act: 'addEventListener' | 'removeEventListener'): void {
    const page = this.#page;
    if (!page) return;
    clearTimeout(this.#timer);
    page[act]('visibilitychange', this.#changed);
    page[act]('resume', this.#changed);
    page[act]('freeze', this.#frozen);
    globalThis[act]('pageshow', this.#changed);
    globalThis[act]('pagehide', this.#frozen);
    globalThis[act]('online', this.#online);
    if (act === 'addEventListener') {
      this.hidden = page.visibilityState === 'hidden'; // opened in the background: it doesn't connect yet
    }
  }
}
