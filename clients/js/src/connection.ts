import type { ConnectionState } from './types.ts';

/** Where a watch stands with its server; SPEC.md says what holds in each. */
export type State = ConnectionState['state'];

/** What may happen to a connection. */
export type Event =
  /** the source begins, or begins anew */
  | 'connect'
  /** the stream was answered: what is shown is what is */
  | 'open'
  /** the server's views are known to lag */
  | 'lag'
  /** the connection was lost or can't be had, and is tried again */
  | 'cut'
  /** the server won't answer this */
  | 'refuse'
  /** there is nothing more to come */
  | 'end'
  /** the page was hidden */
  | 'hide';

/**
 * What follows what. The compiler refuses a table that lacks a state or an event.
 *
 * Whatever is told of a connection moves the state, but for two: an ended watch stays ended, and one whose page is hidden
 * has given its connection up, so that only beginning anew means anything.
 */
export const next: Record<State, Record<Event, State>> = {
  connecting: {
    connect: 'connecting',
    open: 'live',
    lag: 'behind',
    cut: 'disconnected',
    refuse: 'refused',
    end: 'ended',
    hide: 'paused',
  },
  live: {
    connect: 'connecting',
    open: 'live',
    lag: 'behind',
    cut: 'disconnected',
    refuse: 'refused',
    end: 'ended',
    hide: 'paused',
  },
  behind: {
    connect: 'connecting',
    open: 'live',
    lag: 'behind',
    cut: 'disconnected',
    refuse: 'refused',
    end: 'ended',
    hide: 'paused',
  },
  disconnected: {
    connect: 'connecting',
    open: 'live',
    lag: 'behind',
    cut: 'disconnected',
    refuse: 'refused',
    end: 'ended',
    hide: 'paused',
  },
  refused: {
    connect: 'connecting',
    open: 'live',
    lag: 'behind',
    cut: 'disconnected',
    refuse: 'refused',
    end: 'ended',
    hide: 'paused',
  },
  paused: {
    connect: 'connecting',
    open: 'paused',
    lag: 'paused',
    cut: 'paused',
    refuse: 'paused',
    end: 'paused',
    hide: 'paused',
  },
  ended: {
    connect: 'ended',
    open: 'ended',
    lag: 'ended',
    cut: 'ended',
    refuse: 'ended',
    end: 'ended',
    hide: 'ended',
  },
};

/** Which event it is when a source, or another tab that has it, says that its connection is in a state. */
export const told: Record<State, Event> = {
  connecting: 'connect',
  live: 'open',
  behind: 'lag',
  disconnected: 'cut',
  refused: 'refuse',
  ended: 'end',
  paused: 'hide',
};

/** What of a connection is shown may be old in these, and is dated if there is something to show. */
const dated: Record<State, boolean> = {
  connecting: true,
  live: false,
  behind: false, // dated by the server
  disconnected: true,
  refused: true,
  paused: true,
  ended: false,
};

/** Not connected yet. */
export const connecting: ConnectionState = { state: 'connecting', staleSince: null, nextTry: null, error: null };

/**
 * The connection after a source has said `c` of it; null where that means nothing any more. `shown` is what was shown of it before,
 * `shows` whether there is something to show, `now` the time.
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
