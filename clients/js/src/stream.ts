import { connecting } from './connection.ts';
import { asError, HeadwayError, type Problem } from './errors.ts';
import { eventReader } from './events.ts';
import { apply, type Change } from './rows.ts';
import type { Question, Transport } from './transport.ts';
import type { ConnectionState } from './types.ts';

/** A message from the server. `data` is always the whole state, even if only what changed was sent. */
export interface Message {
  event: string;
  data: unknown;
  /** Its id in the stream; undefined for what was read beside the stream. */
  id?: string;
}

/** What a source of messages delivers to. */
export interface Sink {
  /** The id of the event to resume from; empty to start with a snapshot. */
  lastId(): string;
  message(m: Message): void;
  connected(c: ConnectionState): void;
  /** The whole state as messages, for a tab that has nothing yet. */
  replay(): Message[];
  /** The connection as shown. */
  readonly connection: ConnectionState;
}

export interface Source {
  start(): void;
  stop(): void;
  /** Retry now rather than later. */
  hurry(): void;
  /** Delivers a message that was obtained outside of the stream. */
  inject(m: Message): void;
  /** The shown connection has changed. */
  shown?(c: ConnectionState): void;
  /** Whether this page is the one that holds the connection. */
  readonly own: boolean;
}

/** Milliseconds of silence after which a connection counts as lost. The server sends a comment every 15 s. */
export const silence = 45_000;
const firstRetry = 250;
const lastRetry = 15_000;
const firstRefused = 30_000;
const lastRefused = 300_000;
/** Milliseconds that a stream may take to go on with a new credential, until it is shown as connecting. */
const renewal = 5_000;
const rows = '-rows';

/** One stream over as many successive connections as necessary. */
export class Stream implements Source {
  readonly own = true;
  readonly #transport: Transport;
  readonly #path: string;
  readonly #waitPath: string | null; // of a stream that is open although there is no such batch yet
  readonly #sink: Sink;
  #rows: boolean; // changes are asked for as rows, unless the server knows no such format
  #stopped: AbortController | null = null;
  #wake: (() => void) | null = null;
  #retry = firstRetry;
  #heard: Date | null = null;
  #anew = false;
  #ended: HeadwayError | null = null; // why the credential is of no use any more, until another one is accepted
  #renewed = Number.NEGATIVE_INFINITY; // when the credential was last renewed
  #late: ReturnType<typeof setTimeout> | undefined; // what goes on with a new credential is then shown as connecting

  constructor(transport: Transport, path: string, sink: Sink, waitPath: string | null = null, rows = false) {
    this.#transport = transport;
    this.#path = path;
    this.#waitPath = waitPath;
    this.#sink = sink;
    this.#rows = rows;
  }

  start(): void {
    if (this.#stopped) return;
    this.#stopped = new AbortController();
    void this.#run(this.#stopped.signal);
  }

  stop(): void {
    this.#stopped?.abort();
    this.#stopped = null;
    clearTimeout(this.#late);
    this.#wake?.();
  }

  hurry(): void {
    this.#wake?.();
  }

  inject(m: Message): void {
    this.#sink.message(m);
  }

  async #run(stopped: AbortSignal): Promise<void> {
    let failures = 0;
    let error: HeadwayError;
    this.#say(connecting);
    while (!stopped.aborted) {
      const before = this.#heard;
      try {
        if (await this.#connect(stopped)) {
          this.#say({ state: 'ended', staleSince: null, nextTry: null, error: null });
          return;
        }
        error = new HeadwayError('the connection was cut', { type: 'cut' });
      } catch (e) {
        error = asError(e);
      }
      if (stopped.aborted) return;
      if (this.#heard !== before) failures = 0;
      if (error === this.#ended && this.#mayRenew()) {
        await this.#pause(this.#retry * Math.random()); // not all who have this credential at once
        continue;
      }
      const wait = this.#wait(error, failures++);
      const nextTry = wait === null ? null : new Date(Date.now() + wait);
      const state = error.passes ? 'disconnected' : 'refused';
      this.#say({ state, staleSince: this.#heard, nextTry, error });
      if (wait === null) return;
      await this.#pause(wait);
      if (!stopped.aborted) this.#say({ state, staleSince: this.#heard, nextTry: null, error });
    }
  }

  #say(c: ConnectionState): void {
    clearTimeout(this.#late);
    this.#sink.connected(c);
  }

  /**
   * Whether a stream whose credential has ended goes on at once with another one, and what is shown stays live. If the
   * new one ends right away too, it is a failure like others.
   */
  #mayRenew(): boolean {
    const now = Date.now();
    if (this.#transport.fixed || now - this.#renewed < renewal) return false;
    this.#renewed = now;
    this.#late = setTimeout(() => this.#say(connecting), renewal);
    return true;
  }

  /** Milliseconds until the next attempt; null: never. */
  #wait(e: HeadwayError, failures: number): number | null {
    const jitter = 0.5 + Math.random();
    if (!e.mayChange || (e.status === 401 && this.#transport.fixed)) return null;
    const asked = Math.min((e.retryAfter ?? 0) * 1000 * (1 + Math.random() / 2), lastRefused);
    if (!e.passes) return Math.max(asked, Math.min(firstRefused * 2 ** failures, lastRefused) * jitter);
    return Math.max(asked, this.#retry, Math.min(this.#retry * 2 ** failures, lastRetry) * jitter);
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wake = done;
    });
  }

  /** Reads one connection to its end. Resolves with whether the stream is complete. */
  async #connect(stopped: AbortSignal): Promise<boolean> {
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    stopped.addEventListener('abort', abort);
    let quiet = setTimeout(abort, silence);
    let answered = false;
    try {
      const lastId = this.#anew ? '' : this.#sink.lastId();
      const q = { accept: 'text/event-stream', lastId, signal: attempt.signal, refused: this.#ended };
      const r = await this.#ask(q);
      this.#ended = null;
      if (r.status === 204) return true;
      answered = true;
      if (!r.body || !r.headers.get('Content-Type')?.startsWith('text/event-stream')) {
        throw new HeadwayError('an answer that is no event stream', { status: 406, type: 'bad_answer' });
      }
      this.#anew = false;
      let opened = false;
      const open = () => {
        if (!opened) this.#say({ state: 'live', staleSince: null, nextTry: null, error: null });
        opened = true;
      };
      if (lastId) open(); // if we are up to date, the server may send nothing for a long time
      return await this.#read(r.body, open, () => {
        clearTimeout(quiet);
        quiet = setTimeout(abort, silence);
      });
    } catch (e) {
      if (attempt.signal.aborted && !stopped.aborted) {
        throw new HeadwayError(`nothing heard for ${silence / 1000} s`, { type: answered ? 'cut' : 'network' });
      }
      if (answered && !(e instanceof HeadwayError)) {
        throw new HeadwayError(`the connection was cut: ${String(e)}`, { type: 'cut', cause: e });
      }
      throw e;
    } finally {
      clearTimeout(quiet);
      stopped.removeEventListener('abort', abort);
      attempt.abort();
    }
  }

  /**
   * Asks for the stream. If nothing was shown yet and there is no such batch, it asks for a stream that waits for it.
   * Only the first request can tell that, because a stream that waits is silent, and a proxy may hold back its headers.
   */
  async #ask(q: Question): Promise<Response> {
    try {
      return await this.#open(this.#path, q);
    } catch (e) {
      const absent = e instanceof HeadwayError && e.status === 404 && e.type === 'not_found';
      if (!absent || this.#waitPath === null || this.#sink.lastId()) throw e;
    }
    this.#say({ state: 'waiting', staleSince: null, nextTry: null, error: null });
    return this.#open(this.#waitPath, q);
  }

  /** Asks for changes as rows. An older server that rejects this is asked for whole events from then on. */
  async #open(path: string, q: Question): Promise<Response> {
    if (!this.#rows) return this.#transport.ask(path, q);
    try {
      return await this.#transport.ask(`${path}${path.includes('?') ? '&' : '?'}format=rows`, q);
    } catch (e) {
      if (!(e instanceof HeadwayError) || e.status !== 400 || e.details.field !== 'format') throw e;
    }
    this.#rows = false;
    return this.#transport.ask(path, q);
  }

  async #read(body: ReadableStream<Uint8Array>, open: () => void, heard: () => void): Promise<boolean> {
    let ended = false;
    let base: unknown; // the state of the previous event on this connection, which changes are based on
    const read = eventReader({
      retry: ms => {
        this.#retry = Math.min(Math.max(ms, firstRetry), lastRetry);
      },
      event: e => {
        if (ended) return;
        if (e.event === 'problem') throw this.#problem(e.data);
        this.#heard = new Date();
        open();
        let event = e.event ?? 'message';
        let data = this.#decode(e.data);
        if (event.endsWith(rows)) {
          event = event.slice(0, -rows.length);
          data = this.#apply(base, data);
        }
        base = data;
        this.#sink.message(e.id === undefined ? { event, data } : { event, data, id: e.id });
        ended = event === 'end';
      },
    });
    const reader = body.getReader();
    while (!ended) {
      const { done, value } = await reader.read();
      if (done) return false;
      heard();
      if (this.#heard) this.#heard = new Date();
      read(value);
    }
    return true;
  }

  /** Reads the last event of a stream that the server ends, usually because the credential has ended. */
  #problem(data: string): HeadwayError {
    const p = this.#decode(data) as Problem;
    const error = HeadwayError.of(p, { status: p.status ?? 0, text: 'the server ended the stream' });
    if (error.status === 401) this.#ended = error;
    return error;
  }

  #apply(base: unknown, change: unknown): unknown {
    if (base === undefined) throw this.#bad('a change of nothing');
    try {
      return apply(base as Record<string, unknown>, change as Change);
    } catch (e) {
      throw this.#bad('a change that does not fit', e);
    }
  }

  #decode(data: string): unknown {
    try {
      return JSON.parse(data);
    } catch (e) {
      throw this.#bad('an event that is no JSON', e);
    }
  }

  #bad(message: string, cause?: unknown): HeadwayError {
    this.#anew = true; // after any error the next connection starts with a snapshot
    return new HeadwayError(message, { type: 'bad_answer', cause });
  }
}
