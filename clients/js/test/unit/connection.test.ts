import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { connecting, type Event, next, type State, step, told } from '../../src/connection.ts';
import { type ConnectionState, HeadwayError } from '../../src/index.ts';

// The numbers are those of SPEC.md.

const states = Object.keys(next) as State[];
const events = Object.keys(next.live) as Event[];
const error = new HeadwayError('why', { type: 'cut' });

/** What a source may say of its connection at a time. */
const said = (at: number): fc.Arbitrary<ConnectionState> =>
  fc.oneof(
    fc.constantFrom<ConnectionState>(
      connecting,
      { state: 'live', staleSince: null, nextTry: null, error: null },
      { state: 'waiting', staleSince: null, nextTry: null, error: null },
      { state: 'paused', staleSince: null, nextTry: null, error: null },
      { state: 'ended', staleSince: null, nextTry: null, error: null },
      { state: 'behind', staleSince: new Date(at - 20), nextTry: null, error: null },
    ),
    fc.record({
      state: fc.constantFrom<State>('disconnected', 'refused'),
      staleSince: fc.constantFrom(null, new Date(at - 5)),
      nextTry: fc.constantFrom(null, new Date(at + 100)),
      error: fc.constant(error),
    }),
  );

const stories = fc.array(
  fc.integer({ min: 0, max: 1000 }).chain(at => fc.tuple(fc.constant(at), said(at), fc.boolean())),
  {
    maxLength: 40,
  },
);

/** Tells a connection a story, and looks at each step of it. */
function tell(
  story: [number, ConnectionState, boolean][],
  look: (before: ConnectionState, c: ConnectionState, after: ConnectionState, shows: boolean) => void,
): void {
  let is: ConnectionState = connecting;
  let shows = false;
  let clock = 1_000_000;
  for (const [at, c, first] of story) {
    clock += at;
    shows ||= first; // what is shown stays
    const after = step(is, c, is, shows, () => new Date(clock)) ?? is;
    look(is, c, after, shows);
    is = after;
  }
}

describe('the table of states', () => {
  it('1: has one answer for each state and event', () => {
    expect(states.sort()).toEqual(Object.keys(told).sort());
    for (const s of states) for (const e of events) expect(states).toContain(next[s][e]);
  });

  it('2: leaves an ended watch ended', () => {
    for (const e of events) expect(next.ended[e]).toBe('ended');
    fc.assert(
      fc.property(stories, story =>
        tell(story, (before, _, after) => {
          if (before.state === 'ended') expect(after).toEqual(before);
        }),
      ),
    );
  });

  it('3: leaves a paused watch paused until it begins anew', () => {
    for (const e of events) expect(next.paused[e]).toBe(e === 'connect' ? 'connecting' : 'paused');
  });

  it('4: takes any other word as it was said', () => {
    for (const s of states) {
      if (s === 'ended' || s === 'paused') continue;
      for (const to of states) expect(next[s][told[to]]).toBe(to);
    }
  });

  it('can come from any state but the last to any other', () => {
    for (const from of states) {
      const reached = new Set([from]);
      for (const s of reached) for (const e of events) reached.add(next[s][e]);
      expect([...reached].sort()).toEqual(from === 'ended' ? ['ended'] : states);
    }
  });
});

describe('the date of what is shown', () => {
  it('5: is none while it is live or ended', () => {
    fc.assert(
      fc.property(stories, story =>
        tell(story, (_, __, after) => {
          if (after.state === 'live' || after.state === 'ended') expect(after.staleSince).toBeNull();
        }),
      ),
    );
  });

  it('6: is there while something is shown that may be old', () => {
    fc.assert(
      fc.property(stories, story =>
        tell(story, (_, c, after, shows) => {
          const old = ['connecting', 'disconnected', 'refused', 'paused', 'behind'].includes(after.state);
          if (old && shows && c.state === after.state) expect(after.staleSince).not.toBeNull();
        }),
      ),
    );
  });

  it('7: stays until it is live again, however often it is tried', () => {
    fc.assert(
      fc.property(stories, story =>
        tell(story, (before, _, after, shows) => {
          const kept = ['connecting', 'disconnected', 'refused', 'paused'].includes(after.state);
          if (kept && shows && before.staleSince) expect(after.staleSince).toEqual(before.staleSince);
        }),
      ),
    );
  });
});
