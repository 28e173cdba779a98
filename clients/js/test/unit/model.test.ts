import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type ConnectionState, Headway, type Snapshot, type Watch } from '../../src/index.ts';
import { event, frame, Stand, settle, snapshot } from './stand.ts';

// A watch beside a model of it, through whatever server, network and page do to it. The numbers are those of SPEC.md.

class Page extends EventTarget {
  visibilityState = 'visible';
  show(state: string): void {
    this.visibilityState = state;
    this.dispatchEvent(new Event('visibilitychange'));
  }
}

interface Model {
  state: ConnectionState['state'];
  shows: boolean; // something has come
  answered: boolean; // the stream is
  revision: number;
  final: boolean; // refused, for ever
  renewed: number; // when the stream last went on with another credential
}

interface Real {
  stand: Stand;
  page: Page;
  watch: Watch<Snapshot>;
  revisions: number[];
  states: ConnectionState[];
}

const streams = (r: Real) => r.stand.asked.filter(a => a.url.includes('/stream'));
const stream = (r: Real) => {
  const last = streams(r).at(-1);
  if (!last) throw new Error('no stream was asked for');
  return last;
};

/** Whether the client waits for an answer to its request for a stream. */
const pending = (m: Readonly<Model>) => !m.answered && !['paused', 'ended'].includes(m.state) && !m.final;

function check(m: Model, r: Real): void {
  const c = r.watch.connection;
  expect(c.state).toBe(m.state);
  expect(r.watch.latest?.view.revision ?? 0).toBe(m.revision);
  if (c.state === 'live' || c.state === 'ended') expect(c.staleSince).toBeNull(); // 5
  if (c.state === 'waiting') expect(r.watch.latest).toBeNull(); // 15
  if (m.shows && ['connecting', 'disconnected', 'refused', 'paused'].includes(c.state)) {
    expect(c.staleSince).not.toBeNull(); // 6
  }
  expect(r.revisions).toEqual([...new Set(r.revisions)].sort((a, b) => a - b)); // 8
  const trying = c.state === 'disconnected' || c.state === 'refused';
  expect(c.error !== null).toBe(trying); // 9
  if (!trying) expect(c.nextTry).toBeNull(); // 9
  expect(streams(r).filter(a => a.open).length).toBeLessThanOrEqual(1); // 10
  if (['paused', 'ended'].includes(c.state) || m.final) expect(streams(r).some(a => a.open)).toBe(false); // 11
  for (const [i, s] of r.states.entries()) if (i > 0) expect(s).not.toEqual(r.states[i - 1]); // 12
}

abstract class Command implements fc.AsyncCommand<Model, Real> {
  abstract check(m: Readonly<Model>): boolean;
  protected abstract act(m: Model, r: Real): Promise<void>;
  async run(m: Model, r: Real): Promise<void> {
    await this.act(m, r);
    await settle();
    check(m, r);
  }
  toString(): string {
    return this.constructor.name;
  }
}

/** After a failure the next try comes by itself: time is let pass until it does. */
async function untilTried(r: Real): Promise<void> {
  const { nextTry } = r.watch.connection;
  if (!nextTry) return;
  const before = streams(r).length;
  await vi.advanceTimersByTimeAsync(nextTry.getTime() - Date.now() - 1);
  expect(streams(r).length).toBe(before); // 13: not a moment before
  await vi.advanceTimersByTimeAsync(1);
  expect(streams(r).length).toBe(before + 1);
}

class Answered extends Command {
  check = pending;
  async act(m: Model, r: Real): Promise<void> {
    await stream(r).stream();
    m.answered = true;
    if (m.shows) m.state = 'live'; // else it is live with the first that is shown
  }
}

class Absent extends Command {
  check = (m: Readonly<Model>) => pending(m) && !m.shows;
  async act(m: Model, r: Real): Promise<void> {
    await stream(r).problem(404, 'not_found');
    await stream(r).stream(':\n');
    Object.assign(m, { answered: true, state: 'waiting' });
  }
}

class Sent extends Command {
  constructor(readonly by: number) {
    super();
  }
  check = (m: Readonly<Model>) => m.answered;
  async act(m: Model, r: Real): Promise<void> {
    const revision = Math.max(1, m.revision + this.by);
    await stream(r).send(frame('snapshot', snapshot(revision)));
    m.revision = Math.max(m.revision, revision);
    m.shows = true;
    m.state = 'live';
  }
  override toString = () => `Sent(${this.by})`;
}

class Ended extends Command {
  check = (m: Readonly<Model>) => m.answered;
  async act(m: Model, r: Real): Promise<void> {
    await stream(r).send(frame('end', snapshot(m.revision + 1)));
    Object.assign(m, { revision: m.revision + 1, shows: true, answered: false, state: 'ended' });
  }
}

class Cut extends Command {
  check = (m: Readonly<Model>) => m.answered;
  async act(m: Model, r: Real): Promise<void> {
    await stream(r).close();
    Object.assign(m, { answered: false, state: 'disconnected' });
    for (const a of r.stand.asked) if (a.open && !a.url.includes('/stream')) await a.fail(); // asked beside it
    await untilTried(r);
  }
}

class CredentialEnded extends Command {
  check = (m: Readonly<Model>) => m.answered;
  async act(m: Model, r: Real): Promise<void> {
    const renews = Date.now() - m.renewed >= 5_000;
    const shown = r.states.length;
    const asked = streams(r).length;
    await stream(r).send(event('problem', { status: 401, error: { message: '', type: 'credential_ended' } }));
    m.answered = false;
    if (!renews) {
      m.state = 'refused';
      await untilTried(r);
      return;
    }
    m.renewed = Date.now();
    await vi.advanceTimersByTimeAsync(500);
    expect(r.states.length).toBe(shown); // 17
    expect(streams(r).length).toBe(asked + 1); // 17
  }
}

class Failed extends Command {
  check = pending;
  async act(m: Model, r: Real): Promise<void> {
    await stream(r).fail();
    m.state = 'disconnected';
    await untilTried(r);
  }
}

class Refused extends Command {
  constructor(readonly status: number) {
    super();
  }
  check = pending;
  async act(m: Model, r: Real): Promise<void> {
    await stream(r).problem(this.status, 'no');
    m.state = this.status === 503 || this.status === 429 ? 'disconnected' : 'refused';
    m.final = this.status === 400;
    if (m.final) expect(r.watch.connection.nextTry).toBeNull();
    await untilTried(r);
  }
  override toString = () => `Refused(${this.status})`;
}

class Hidden extends Command {
  check = (m: Readonly<Model>) => m.state !== 'paused' && m.state !== 'ended' && !m.final;
  async act(m: Model, r: Real): Promise<void> {
    r.page.dispatchEvent(new Event('freeze'));
    Object.assign(m, { state: 'paused', answered: false });
  }
}

class Shown extends Command {
  check = (m: Readonly<Model>) => m.state === 'paused';
  async act(m: Model, r: Real): Promise<void> {
    r.page.show('visible');
    m.state = 'connecting';
  }
}

let page: Page;
beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  page = new Page();
  vi.stubGlobal('document', page);
  // What Node has no global events for.
  vi.stubGlobal('addEventListener', () => {});
  vi.stubGlobal('removeEventListener', () => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

it('a watch is as its model, whatever happens', async () => {
  const commands = [
    fc.constant(new Answered()),
    fc.constant(new Absent()),
    fc.integer({ min: -2, max: 3 }).map(by => new Sent(by)),
    fc.constant(new Cut()),
    fc.constant(new CredentialEnded()),
    fc.constant(new Failed()),
    fc.constantFrom(503, 429, 404, 401, 400).map(s => new Refused(s)),
    fc.constant(new Hidden()),
    fc.constant(new Shown()),
    fc.constant(new Ended()),
  ];
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 30, size: 'max' }), async story => {
      const stand = new Stand();
      const revisions: number[] = [];
      const states: ConnectionState[] = [];
      const watch = new Headway({ url: 'http://h', fetch: stand.fetch, share: false }).watchBatch('b', {
        onSnapshot: s => revisions.push(s.view.revision),
        onConnection: c => states.push(c),
      });
      await settle();
      const setup = () => ({
        model: { state: 'connecting', shows: false, answered: false, revision: 0, final: false, renewed: 0 } as Model,
        real: { stand, page, watch, revisions, states },
      });
      try {
        await fc.asyncModelRun(setup, story);
      } finally {
        watch.close();
        await vi.advanceTimersByTimeAsync(1);
        page.visibilityState = 'visible';
      }
      expect(stand.open).toBe(0); // 14
      const heard = revisions.length + states.length;
      await vi.advanceTimersByTimeAsync(600_000);
      expect(stand.open).toBe(0);
      expect(revisions.length + states.length).toBe(heard); // 14
    }),
    { numRuns: 60 },
  );
}, 120_000);
