import type { ConnectionState } from './types.ts';

/** The state of a watch's connection. SPEC.md lists what holds in each state. */
export type State = ConnectionState['state'];

/** What can happen to a connection. */
export type Event =
  /** the source starts, or starts again */
  | 'connect'
  /** the server accepted the stream: what is shown is current */
  | 'open'
  /** the server knows no such batch, and is asked for a stream that is open until it begins */
  | 'wait'
  /** the server's views are known to lag */
  | 'lag'
  /** the connection was lost or failed, and is retried */
  | 'cut'
  /** the server rejected the request for good */
  | 'refuse'
  /** the stream is complete */
  | 'end'
  /** the page was hidden */
  | 'hide';

/**
 * The transition table. It doesn't compile if a state or an event is missing.
 *
 * Every event changes the state, with two exceptions: an ended watch stays ended, and a paused watch (hidden page) has
 * closed its connection, so only a new start changes it.
 */
export const next: Record<State, Record<Event, State>> = {
  connecting: {
    connect: 'connecting',
    open: 'live',
    wait: 'waiting',
    lag: 'behind',
    cut: 'disconnected',
    refuse: 'refused',
    end: 'ended',
    hide: 'paused',
  },
  live: {
    connect: 'connecting',
    open: 'live',
    wait: 'waiting',
    lag: 'behind',
    cut: 'disconnected',
    refuse: 'refused',
    end: 'ended',
    hide: 'paused',
  },
  waiting: {
    connect: 'connecting',
    open: 'live',
    wait: 'waiting',
    lag: 'behind',
    cut: 'disconnected',
    refuse: 'refused',
    end: 'ended',
    hide: 'paused',
  },
  behind: {
    connect: 'connecting',
    open: 'live',
    wait: 'waiting',
    lag: 'behind',
    cut: 'disconnected',
    refuse: 'refused',
    end: 'ended',
    hide: 'paused',
  },
  disconnected: {
    connect: 'connecting',
    open: 'live',
    wait: 'waiting',
    lag: 'behind',
    cut: 'disconnected',
    refuse: 'refused',
    end: 'ended',
    hide: 'paused',
  },
  refused: {
    connect: 'connecting',
    open: 'live',
    wait: 'waiting',
    lag: 'behind',
    cut: 'disconnected',
    refuse: 'refused',
    end: 'ended',
    hide: 'paused',
  },
  paused: {
    connect: 'connecting',
    open: 'paused',
    wait: 'paused',
    lag: 'paused',
    cut: 'paused',
    refuse: 'paused',
    end: 'paused',
    hide: 'paused',
  },
  ended: {
    connect: 'ended',
    open: 'ended',
    wait: 'ended',
    lag: 'ended',
    cut: 'ended',
    refuse: 'ended',
    end: 'ended',
    hide: 'ended',
  },
};

/** The event that corresponds to a state reported by a source, or by another tab that has the connection. */
export const told: Record<State, Event> = {
  connecting: 'connect',
  live: 'open',
  waiting: 'wait',
  behind: 'lag',
  disconnected: 'cut',
  refused: 'refuse',
  ended: 'end',
  paused: 'hide',
};

/** The states in which what is shown may be outdated. `staleSince` is then set, if there is something to show. */
const dated: Record<State, boolean> = {
  connecting: true,
  live: false,
  waiting: false, // nothing is shown
  behind: false, // dated by the server
  disconnected: true,
  refused: true,
  paused: true,
  ended: false,
};

/** Not connected yet. */
export const connecting: ConnectionState = { state: 'connecting', staleSince: null, nextTry: null, error: null };

/**
 * The connection after a source has reported `c`, or null if that doesn't change anything. `shown` is the connection
 * shown before, `shows` whether there is something to show, `now` the time.
 */
export function step(
  before: ConnectionState,
  c: ConnectionState,
  shown: ConnectionState,
  shows: boolean,
  now: () => Date,
): ConnectionState | null {
  if (next[before.state][told[c.state]] !== c.state) return null;
  if (!dated[c.state] || !shows) return c;
  return { ...c, staleSince: shown.staleSince ?? c.staleSince ?? now() };
}

export function same(a: ConnectionState, b: ConnectionState): boolean {
  return (
    a.state === b.state &&
    a.staleSince?.getTime() === b.staleSince?.getTime() &&
    a.nextTry?.getTime() === b.nextTry?.getTime() &&
    a.error === b.error
  );
}
