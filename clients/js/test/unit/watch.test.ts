import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Headway, type Row, type Snapshot } from '../../src/index.ts';
import { event, frame, list, row, Stand, settle, snapshot } from './stand.ts';

let stand: Stand;
let hw: Headway;
beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  stand = new Stand();
  hw = new Headway({ url: 'http://h', fetch: stand.fetch });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** A batch that is watched and shows revision 1. */
async function begun(o: Parameters<Headway['watchBatch']>[1] = {}) {
  const w = hw.watchBatch('b', o);
  await settle();
  await stand.last.stream();
  await stand.last.send(frame('snapshot', snapshot(1)));
  return w;
}

describe('all that watch the same thing', () => {
  it('share one connection, until the last has closed', async () => {
    const w = await begun();
    const late: number[] = [];
    const w2 = hw.watchBatch('b', { onSnapshot: s => late.push(s.view.revision) });
    expect(w2.latest?.view.revision).toBe(1);
    expect(late).toEqual([]); // not before the caller has the watch
    await settle();
    expect(late).toEqual([1]);
    await stand.last.send(frame('update', snapshot(2)));
    w.close();
    await vi.advanceTimersByTimeAsync(1);
    await stand.last.send(frame('update', snapshot(3)));
    expect(late).toEqual([1, 2, 3]);
    expect(w.latest?.view.revision).toBe(2); // closed: it stays as it was
    expect(stand.asked).toHaveLength(1);
    w2.close();
    const w3 = hw.watchBatch('b'); // in the same moment
    await vi.advanceTimersByTimeAsync(1);
    expect(stand.open).toBe(1);
    w3.close();
    w3.close();
    await vi.advanceTimersByTimeAsync(1);
    expect(stand.open).toBe(0);
    expect(stand.asked).toHaveLength(1);
    hw.watchBatch('b').close();
  });

  it('are shown the same revision as another fold version sees it, and nothing lower', async () => {
    const w = await begun();
    const seen = (fold: number, revision: number) => {
      const s = snapshot(revision);
      return { ...s, view: { ...s.view, id: `s-${fold}-${revision}` } };
    };
    for (const [fold, revision, shown] of [
      [1, 5, 's-1-5'],
      [2, 4, 's-1-5'],
      [2, 5, 's-2-5'],
      [2, 5, 's-2-5'],
      [2, 6, 's-2-6'],
    ] as const) {
      await stand.last.send(frame('update', seen(fold, revision)));
      expect(w.latest?.view.id).toBe(shown);
    }
    w.close();
  });

  it('are told although one of them throws', async () => {
    const thrown: unknown[] = [];
    const uncaught = (e: unknown) => thrown.push(e);
    process.on('uncaughtException', uncaught);
    const others = process.listeners('uncaughtException').filter(l => l !== uncaught);
    for (const l of others) process.off('uncaughtException', l);
    const got: number[] = [];
    const w = await begun({
      onSnapshot: () => {
        throw new Error('mine');
      },
    });
    const w2 = hw.watchBatch('b', { onSnapshot: s => got.push(s.view.revision) });
    await settle();
    await stand.last.send(frame('update', snapshot(2)));
    expect(got).toEqual([1, 2]);
    w.close();
    w2.close();
    vi.useRealTimers();
    await new Promise(r => setTimeout(r, 0));
    process.off('uncaughtException', uncaught);
    for (const l of others) process.on('uncaughtException', l);
    expect(thrown).toHaveLength(2);
  });

  it('end with their signal', async () => {
    const stop = new AbortController();
    const w = await begun({ signal: stop.signal });
    stop.abort();
    await vi.advanceTimersByTimeAsync(1);
    expect(stand.open).toBe(0);
    expect(w.latest?.view.revision).toBe(1);
    hw.watchBatch('c', { signal: stop.signal });
    await vi.advanceTimersByTimeAsync(1);
    expect(stand.open).toBe(0);
  });
});

describe('the async iterator', () => {
  it('yields the newest, ends with the batch', async () => {
    const w = await begun();
    const got: number[] = [];
    const over = (async () => {
      for await (const s of w) {
        got.push(s.view.revision);
        await new Promise(r => setTimeout(r, 100)); // slow
      }
    })();
    await settle();
    await stand.last.send(frame('update', snapshot(2)) + frame('update', snapshot(3)));
    await vi.advanceTimersByTimeAsync(100);
    await stand.last.send(frame('update', snapshot(4)) + frame('end', snapshot(5)));
    await vi.advanceTimersByTimeAsync(200);
    await over;
    expect(got).toEqual([1, 3, 5]);
  });

  it('throws what the server refused with', async () => {
    const over = (async () => {
      for await (const _ of hw.watchBatch('b')) expect.unreachable();
    })();
    over.catch(() => {});
    await settle();
    await stand.last.problem(403, 'forbidden');
    await expect(over).rejects.toMatchObject({ status: 403, type: 'forbidden' });
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(stand.asked).toHaveLength(1);
  });

  it('closes the watch when it is left, and ends when that is closed', async () => {
    const w = await begun();
    for await (const s of w) {
      expect(s.view.revision).toBe(1);
      break;
    }
    await vi.advanceTimersByTimeAsync(1);
    expect(stand.open).toBe(0);

    const w2 = hw.watchBatch('c');
    const next = w2[Symbol.asyncIterator]().next();
    w2.close();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});

describe('a batch that nobody has heard of', () => {
  /** A watch that waits. */
  async function waiting(o: Parameters<Headway['watchBatch']>[1] = {}) {
    const w = hw.watchBatch('b', o);
    await settle();
    await stand.last.problem(404, 'not_found');
    await stand.last.stream(':\n');
    return w;
  }

  it('is waited for, and shown when it begins', async () => {
    const states: string[] = [];
    const w = await waiting({ onConnection: c => states.push(c.state), timeout: 60_000 });
    expect(stand.asked.map(a => a.url.split('/stream')[1])).toEqual(['?wait=false&format=rows', '?format=rows']);
    expect(w.connection).toEqual({ state: 'waiting', staleSince: null, nextTry: null, error: null });
    await vi.advanceTimersByTimeAsync(30_000);
    await stand.asked[1]?.send(frame('snapshot', snapshot(1)));
    expect(states).toEqual(['connecting', 'waiting', 'live']);
    await stand.asked[1]?.send(':\n');
    await vi.advanceTimersByTimeAsync(40_000); // longer than it would have waited
    expect(w.connection.state).not.toBe('refused');
    expect(w.latest?.view.revision).toBe(1);
    w.close();
  });

  it('is looked for anew with each connection, and read beside a stream that is held back', async () => {
    const w = await waiting();
    await stand.last.close();
    expect(w.connection.state).toBe('disconnected');
    await vi.advanceTimersByTimeAsync(1000);
    expect(stand.last.url).toContain('wait=false');
    await stand.last.problem(404, 'not_found');
    await stand.last.stream('');
    expect(w.connection.state).toBe('waiting');
    await vi.advanceTimersByTimeAsync(5_000);
    await stand.last.json(200, { view: snapshot(3).view });
    await stand.last.json(200, snapshot(3));
    expect(w.latest?.view.revision).toBe(3);
    expect(w.connection).toMatchObject({ state: 'connecting', staleSince: new Date() });
    w.close();
  });

  it('is refused by a server that can not wait, and by one where too many wait', async () => {
    const w = hw.watchBatch('b');
    await settle();
    await stand.last.problem(404, 'not_found');
    await stand.last.problem(404, 'not_found');
    expect(w.connection).toMatchObject({ state: 'refused', error: { status: 404 } });
    await vi.advanceTimersByTimeAsync(30_000);
    await stand.last.problem(404, 'not_found');
    await stand.last.problem(429, 'too_many_waiting_streams');
    expect(w.connection).toMatchObject({ state: 'disconnected', error: { type: 'too_many_waiting_streams' } });
    w.close();
  });

  it('is given up by each watch after its own timeout', async () => {
    const errors: Error[] = [];
    const states: string[] = [];
    const patient = await waiting({ timeout: Number.POSITIVE_INFINITY });
    const w = hw.watchBatch('b', {
      timeout: 2000,
      onError: e => errors.push(e),
      onConnection: c => states.push(c.state),
    });
    const over = (async () => {
      for await (const _ of hw.watchBatch('b', { timeout: 1000 })) expect.unreachable();
    })();
    over.catch(() => {});
    await vi.advanceTimersByTimeAsync(1999);
    await expect(over).rejects.toMatchObject({ status: 404, type: 'not_found' });
    expect(w.connection.state).toBe('waiting');
    await vi.advanceTimersByTimeAsync(1);
    expect(w.connection).toMatchObject({ state: 'refused', nextTry: null, error: errors[0] });
    expect(errors).toMatchObject([{ type: 'not_found' }]);
    expect(states).toEqual(['waiting', 'refused']);
    expect(patient.connection.state).toBe('waiting');
    expect(stand.open).toBe(1);
    patient.close();
    await vi.advanceTimersByTimeAsync(1);
    expect(stand.open).toBe(0);
  });
});

describe('health', () => {
  it('is told by whatever brings the change', async () => {
    const changes: string[] = [];
    const w = await begun({ onHealth: (s, from) => changes.push(`${from} ${s.health}`) });
    await stand.last.send(frame('update', snapshot(2)) + frame('health', snapshot(3, { health: 'stuck' })));
    await stand.last.close();
    await vi.advanceTimersByTimeAsync(1000);
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(9, { health: 'degraded' }))); // it changed meanwhile
    expect(changes).toEqual(['ok stuck', 'stuck degraded']);
    w.close();
  });
});

describe('a server that lags', () => {
  const lagging = (revision: number): Snapshot => {
    const s = snapshot(revision);
    return { ...s, view: { ...s.view, lag_seconds: 42, as_of: '2026-03-01T12:00:00Z' } };
  };

  it('is told by what it sends, and by what it answers when it sends nothing', async () => {
    const w = await begun();
    await stand.last.send(frame('update', lagging(2)));
    expect(w.connection).toMatchObject({ state: 'behind', staleSince: new Date('2026-03-01T12:00:00Z') });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(stand.last.url).toContain('?fields=view');
    await stand.last.json(200, { view: snapshot(2).view });
    expect(w.connection).toMatchObject({ state: 'live', staleSince: null });
    await vi.advanceTimersByTimeAsync(14_999);
    expect(stand.asked).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    await stand.last.json(200, { view: lagging(2).view });
    expect(w.connection.state).toBe('behind');
    await vi.advanceTimersByTimeAsync(5_000);
    await stand.last.json(200, { view: snapshot(2).view });
    await vi.advanceTimersByTimeAsync(15_000);
    await stand.last.problem(503, 'views_rebuilding', { 'Retry-After': '2' });
    expect(w.connection.state).toBe('behind');
    await stand.asked[0]?.send(':\n\n'); // it lives
    await vi.advanceTimersByTimeAsync(5_000);
    await stand.last.json(200, { view: snapshot(2).view });
    expect(w.connection.state).toBe('live');
    await vi.advanceTimersByTimeAsync(15_000);
    await stand.last.json(200, { view: snapshot(1).view }); // rebuilt, and not yet where it was
    expect(w.connection.state).toBe('behind');
    expect(w.latest?.view.revision).toBe(2);
    w.close();
  });

  it('or a proxy that holds the stream back is asked beside it', async () => {
    const got: number[] = [];
    const w = await begun({ onSnapshot: s => got.push(s.view.revision) });
    await vi.advanceTimersByTimeAsync(15_000);
    await stand.last.json(200, { view: snapshot(8).view });
    expect(stand.last.url).toBe('http://h/v1/analytics/performance/batches/b/diagnostics');
    await stand.last.json(200, snapshot(8));
    expect(got).toEqual([1, 8]);
    await stand.asked[0]?.send(frame('update', snapshot(5)) + frame('update', snapshot(9))); // let go at last
    expect(got).toEqual([1, 8, 9]);
    w.close();
  });
});

describe('a proxy that lets nothing through', () => {
  it('is asked beside before there is anything to show', async () => {
    const w = hw.watchBatch('b');
    await settle();
    await stand.last.stream('');
    await vi.advanceTimersByTimeAsync(5_000);
    await stand.last.json(200, { view: snapshot(3).view });
    await stand.last.json(200, snapshot(3));
    expect(w.latest?.view.revision).toBe(3);
    w.close();
  });

  it('and cuts is asked between two connections, one that can not be reached is not', async () => {
    const w = await begun();
    await stand.last.close();
    for (let i = 0; i < 3; i++) {
      await vi.advanceTimersByTimeAsync(15_000);
      const stream = stand.last;
      await stream.stream(':\n\n');
      await stream.close();
      expect(stand.last.url).toContain('?fields=view');
      await stand.last.json(200, { view: snapshot(1).view });
    }
    await vi.advanceTimersByTimeAsync(15_000);
    const asked = stand.asked.length;
    await stand.last.fail();
    expect(stand.asked).toHaveLength(asked);
    w.close();
  });
});

describe('a page', () => {
  class Page extends EventTarget {
    visibilityState = 'visible';
    show(state: string) {
      this.visibilityState = state;
      this.dispatchEvent(new Event('visibilitychange'));
    }
  }
  let page: Page;
  beforeEach(() => {
    page = new Page();
    const window = new EventTarget();
    vi.stubGlobal('document', page);
    vi.stubGlobal('addEventListener', window.addEventListener.bind(window));
    vi.stubGlobal('removeEventListener', window.removeEventListener.bind(window));
    vi.stubGlobal('dispatchEvent', window.dispatchEvent.bind(window));
    hw = new Headway({ url: 'http://h', fetch: stand.fetch, share: false });
  });

  it('shows what changes with time alone, and resumes from it', async () => {
    const seen: string[] = [];
    const w = hw.watchBatch('b', { onSnapshot: s => seen.push(`${s.health} ${s.view.as_of}`) });
    await settle();
    const at = (as_of: string, health: 'scaling' | 'stuck') =>
      snapshot(1, { health, view: { ...snapshot(1).view, as_of } });
    const say = (event: string, tag: string, s: Snapshot) =>
      `id: ${s.view.id}.${tag}\nevent: ${event}\ndata: ${JSON.stringify(s)}\n\n`;
    await stand.last.stream();
    await stand.last.send(say('snapshot', 'a', at('2026-03-01T12:00:00Z', 'scaling')));
    await stand.last.send(say('health', 'b', at('2026-03-01T12:20:00Z', 'stuck')));
    await stand.last.send(say('snapshot', 'a', at('2026-03-01T12:10:00Z', 'scaling'))); // of a server that is behind
    expect(seen).toEqual(['scaling 2026-03-01T12:00:00Z', 'stuck 2026-03-01T12:20:00Z']);
    await stand.last.close();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(stand.last.lastId).toBe('s-1-1.b');
    w.close();
  });

  it('that is hidden pauses after a grace, and resumes when it is shown', async () => {
    const w = await begun();
    page.show('hidden');
    await vi.advanceTimersByTimeAsync(9_999);
    page.show('visible');
    await vi.advanceTimersByTimeAsync(3_000);
    expect(w.connection.state).toBe('live');
    page.show('hidden');
    await vi.advanceTimersByTimeAsync(10_000);
    const hiddenSince = new Date();
    expect(w.connection).toMatchObject({ state: 'paused', staleSince: hiddenSince });
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(stand.open).toBe(0);
    const asked = stand.asked.length;
    page.show('visible');
    expect(w.connection).toMatchObject({ state: 'connecting', staleSince: hiddenSince });
    await settle();
    expect(stand.asked).toHaveLength(asked + 1);
    expect(stand.last.lastId).toBe('s-1-1');
    await stand.last.stream();
    expect(w.connection).toMatchObject({ state: 'live', staleSince: null });
    w.close();
  });

  it('that is opened in the background waits, one that is frozen or put aside stops at once', async () => {
    page.visibilityState = 'hidden';
    const w = hw.watchBatch('b');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(stand.asked).toHaveLength(0);
    expect(w.connection.state).toBe('paused');
    page.show('visible');
    await settle();
    expect(stand.open).toBe(1);
    dispatchEvent(new Event('pagehide'));
    expect(stand.open).toBe(0);
    dispatchEvent(new Event('pageshow'));
    await settle();
    expect(stand.open).toBe(1);
    w.close();
  });

  it('that is online again tries at once', async () => {
    const w = await begun();
    await stand.last.close();
    expect(w.connection.state).toBe('disconnected');
    dispatchEvent(new Event('online'));
    await settle();
    expect(stand.asked).toHaveLength(2);
    w.close();
  });
});

describe('a list', () => {
  it('is the newest rows, then each that changes, and begins anew with each connection', async () => {
    const rows: Row[][] = [];
    const totals: number[] = [];
    let lists = 0;
    const w = hw.watchList({
      ids: ['b', 'a', 'a'],
      onSnapshot: () => lists++,
      onRows: r => rows.push(r),
      onCounts: c => totals.push(c.total),
    });
    await settle();
    expect(stand.last.url).toBe('http://h/v1/batches/stream?ids=a%2Cb');
    await stand.last.stream();
    await stand.last.send(event('snapshot', list([row('b', 2), row('a', 1)])));
    const first = w.latest;
    expect(first?.map(r => r.batch_id)).toEqual(['b', 'a']);
    await stand.last.send(event('update', row('c', 3, { ordered_at: '2026-03-02T12:00:00Z' })));
    await stand.last.send(event('update', row('a', 4)) + event('counts', { total: 3, health: {}, status: {} }));
    expect(w.latest?.map(r => [r.batch_id, r.revision])).toEqual([
      ['c', 3],
      ['b', 2],
      ['a', 4],
    ]);
    expect(first).toHaveLength(2); // what was given out stays as it was
    expect(rows.map(r => r[0]?.batch_id)).toEqual(['c', 'a']);
    expect(totals).toEqual([2, 3]);
    await stand.last.close();
    await vi.advanceTimersByTimeAsync(1000);
    await stand.last.stream();
    await stand.last.send(event('snapshot', list([row('a', 5)])));
    expect(w.latest?.map(r => r.batch_id)).toEqual(['a']);
    expect(lists).toBe(2);
    w.close();
  });

  it('loses a batch that is erased', async () => {
    const shown: string[][] = [];
    const w = hw.watchList({ onSnapshot: l => shown.push(l.batches.map(r => r.batch_id)) });
    await settle();
    await stand.last.stream();
    await stand.last.send(event('snapshot', list([row('b', 2), row('a', 1)])));
    const removed = { batch_id: 'b', erased_at: '2026-03-01T12:00:00Z', revision: 3 };
    await stand.last.send(event('removed', removed) + event('removed', removed));
    expect(w.latest?.map(r => r.batch_id)).toEqual(['a']);
    expect(shown).toEqual([['b', 'a'], ['a']]);
    w.close();
  });

  it('that is incomplete takes nothing away', async () => {
    const w = hw.watchList();
    await settle();
    await stand.last.stream();
    await stand.last.send(event('snapshot', list([row('b', 7), row('a', 6)])));
    await stand.last.close();
    await vi.advanceTimersByTimeAsync(1000);
    await stand.last.stream();
    await stand.last.send(event('snapshot', list([row('b', 2), row('a', 8)], true)));
    expect(w.latest?.map(r => [r.batch_id, r.revision])).toEqual([
      ['b', 7],
      ['a', 8],
    ]);
    w.close();
  });

  it('keeps ten thousand rows, those of the newest batches', async () => {
    const w = hw.watchList();
    await settle();
    await stand.last.stream();
    await stand.last.send(event('snapshot', list([])));
    let text = '';
    for (let i = 0; i < 10_500; i++) {
      text += event('update', row(`b${i}`, i, { ordered_at: new Date(i * 1000).toISOString() }));
    }
    await stand.last.send(text);
    expect(w.latest?.length).toBeLessThanOrEqual(10_000);
    expect(w.latest?.[0]?.batch_id).toBe('b10499');
    w.close();
  });
});
