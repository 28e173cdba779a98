import { connecting } from './connection.ts';
import { HeadwayError } from './errors.ts';
import { type Message, type Sink, type Source, type Stream, silence } from './stream.ts';
import type { ConnectionState } from './types.ts';

/** Interval at which the tab with the connection sends a heartbeat to the others. */
const beat = 10_000;

/**
 * How long a new leader waits while the previous leader's connection is being closed, so that there is only one at a
 * time.
 */
const handover = 250;

/** The messages between tabs. */
type Said =
  | { kind: 'hello'; from: string }
  | { kind: 'state'; to: string; connection: Sent; messages: Message[] }
  | { kind: 'message'; message: Message }
  | { kind: 'connection'; connection: Sent };

/** A connection's state in a form that can be posted: structured cloning would drop the fields of our errors. */
type Sent = Omit<ConnectionState, 'error'> & {
  error: { message: string; status: number; type: string; details: Record<string, unknown> } | null;
};

/** Whether the browser lets tabs share a connection. */
export function canShare(): boolean {
  return Boolean(globalThis.document && globalThis.navigator?.locks && globalThis.BroadcastChannel);
}

/**
 * One stream for all tabs. The tab that holds the lock (the leader) has the connection and passes on its messages. The
 * others wait for the lock: when its holder is closed, hidden or dies, the next one resumes from the last message it got.
 *
 *     waiting ──lock granted──▶ leading ──stop, or lock stolen──▶ (waiting)
 *        └──45 s without a message from the leader: it is frozen, the lock is stolen──┘
 *
 * A hidden page stops its source, so the leader is never a page whose timers the browser throttles for long.
 */
export class SharedStream implements Source {
  readonly #name: string;
  readonly #sink: Sink;
  readonly #stream: Stream;
  readonly #me = crypto.randomUUID();
  #channel: BroadcastChannel | null = null;
  #pending: AbortController | null = null; // the pending request for the lock
  #release: (() => void) | null = null; // releases the lock that is held
  #timer: ReturnType<typeof setTimeout> | undefined; // timer of heartbeats while leading, of the leader's silence otherwise
  #takingOver: ReturnType<typeof setTimeout> | undefined;
  #followed = false; // another has led

  constructor(name: string, sink: Sink, open: (sink: Sink) => Stream) {
    this.#name = name;
    this.#sink = sink;
    this.#stream = open({
      get connection() {
        return sink.connection;
      },
      lastId: () => sink.lastId(),
      replay: () => sink.replay(),
      message: m => {
        this.#post({ kind: 'message', message: m });
        sink.message(m);
      },
      connected: c => sink.connected(c),
    });
  }

  get own(): boolean {
    return this.#release !== null;
  }

  start(): void {
    if (this.#channel) return;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = e => this.#hear(e.data as Said);
    this.#queue(false);
  }

  stop(): void {
    this.#stream.stop();
    this.#channel?.close();
    this.#channel = null;
    clearTimeout(this.#timer);
    clearTimeout(this.#takingOver);
    this.#followed = false;
    this.#pending?.abort();
    this.#release?.();
    this.#pending = this.#release = null;
  }

  hurry(): void {
    if (this.own) this.#stream.hurry();
  }

  inject(m: Message): void {
    this.#stream.inject(m);
  }

  shown(c: ConnectionState): void {
    if (this.own) this.#post({ kind: 'connection', connection: send(c) });
  }

  /** Waits for the lock, or takes it from one that is frozen. */
  #queue(steal: boolean): void {
    const pending = new AbortController();
    this.#pending = pending;
    navigator.locks
      .request(this.#name, steal ? { steal } : { signal: pending.signal }, () => this.#lead(pending))
      .catch((e: unknown) => {
        if (pending !== this.#pending) return; // stopped, or asked anew
        const stolen = this.own;
        clearTimeout(this.#takingOver);
        this.#stream.stop();
        this.#release = null;
        if (stolen) this.#queue(false);
        else this.#alone(e);
      });
    if (!steal) {
      this.#post({ kind: 'hello', from: this.#me });
      this.#patience();
    }
  }

  #lead(pending: AbortController): Promise<void> | undefined {
    if (pending !== this.#pending) return;
    return new Promise(resolve => {
      this.#release = resolve;
      this.#beat();
      if (this.#followed) this.#takingOver = setTimeout(() => this.#stream.start(), handover);
      else this.#stream.start();
    });
  }

  /** A browser that has locks and doesn't give them here: then without sharing. */
  #alone(e: unknown): void {
    console.warn('headway: tabs do not share a connection:', e);
    this.#release = () => {};
    this.#stream.start();
  }

  #beat(): void {
    clearTimeout(this.#timer);
    this.#post({ kind: 'connection', connection: send(this.#sink.connection) });
    this.#timer = setTimeout(() => this.#beat(), beat);
  }

  #patience(): void {
    clearTimeout(this.#timer);
    if (!this.#channel) return; // what was heard ended it
    this.#timer = setTimeout(() => {
      const stale = this.#sink.connection.staleSince ?? new Date(Date.now() - silence);
      const error = new HeadwayError('the tab that holds the connection is silent', { type: 'network' });
      this.#sink.connected({ state: 'disconnected', staleSince: stale, nextTry: null, error });
      this.#timer = setTimeout(() => {
        const waiting = this.#pending;
        this.#queue(true);
        waiting?.abort();
      }, Math.random() * 5000); // not all at once
    }, silence);
  }

  #post(s: Said): void {
    this.#channel?.postMessage(s);
  }

  #hear(s: Said): void {
    if (this.own) {
      if (s.kind === 'hello') {
        const { connection } = this.#sink;
        this.#post({ kind: 'state', to: s.from, connection: send(connection), messages: this.#sink.replay() });
      }
      return;
    }
    switch (s.kind) {
      case 'hello':
        return;
      case 'state':
        if (s.to !== this.#me) break;
        for (const m of s.messages) this.#sink.message(m);
        this.#sink.connected(received(s.connection));
        break;
      case 'message':
        this.#sink.message(s.message);
        break;
      case 'connection':
        this.#sink.connected(received(s.connection));
    }
    this.#followed = true;
    this.#patience();
  }
}

function send(c: ConnectionState): Sent {
  const e = c.error;
  if (!e) return { ...c, error: null };
  const { message, status, type, details } = e;
  return { ...c, error: { message, status, type, details } };
}

function received(c: Sent): ConnectionState {
  return { ...connecting, ...c, error: c.error && new HeadwayError(c.error.message, c.error) };
}
