import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Headway, type Snapshot } from '../../src/index.ts';
import { frame, Stand, settle, snapshot } from './stand.ts';

let stand: Stand;
let hw: Headway;
const seen = () => {
  const revisions: number[] = [];
  const states: string[] = [];
  const errors: Error[] = [];
  return {
    revisions,
    states,
    errors,
    onSnapshot: (s: Snapshot) => revisions.push(s.view.revision),
    onConnection: (c: { state: string }) => states.push(c.state),
    onError: (e: Error) => errors.push(e),
  };
};

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5); // jitter of exactly 1
  stand = new Stand();
  hw = new Headway({ url: 'http://h', fetch: stand.fetch });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('a stream over several connections', () => {
  it('resumes with the last id, after the time that the server asked for', async () => {
    const s = seen();
    const w = hw.watchBatch('b', s);
    await settle();
    expect(stand.last.url).toBe(
      'http://h/v1/analytics/performance/batches/b/diagnostics/stream?wait=false&format=rows',
    );
    expect(stand.last.lastId).toBeNull();
    await stand.last.stream('retry: 1350\n');
    expect(w.connection.state).toBe('connecting'); // there is nothing to show yet
    await stand.last.send(frame('snapshot', snapshot(1)) + frame('update', snapshot(4)));
    await stand.last.close();
    expect(w.connection).toMatchObject({ state: 'disconnected', nextTry: new Date(Date.now() + 1350) });
    await vi.advanceTimersByTimeAsync(1349);
    expect(stand.asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(stand.asked).toHaveLength(2);
    expect(stand.last.lastId).toBe('s-1-4');
    expect(w.connection).toMatchObject({ state: 'disconnected', nextTry: null });
    await stand.last.stream();
    expect(w.connection).toEqual({ state: 'live', staleSince: null, nextTry: null, error: null });
    expect(s.revisions).toEqual([1, 4]);
    expect(s.states).toEqual(['connecting', 'live', 'disconnected', 'disconnected', 'live']);
    w.close();
  });

  it('never shows an older revision of one stream of events, and begins anew with another', async () => {
    const s = seen();
    const w = hw.watchBatch('b', s);
    await settle();
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(5)) + frame('update', snapshot(3)) + frame('update', snapshot(5)));
    await stand.last.close();
    await vi.advanceTimersByTimeAsync(2000);
    expect(stand.last.lastId).toBe('s-1-5');
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(4)) + frame('update', snapshot(6)));
    await stand.last.send(frame('update', snapshot(1, {}, 'other')));
    await stand.last.send(frame('update', snapshot(2, {}, 'other')));
    expect(s.revisions).toEqual([5, 6, 1, 2]);
    w.close();
  });

  it('backs off, at most to 15 s, and starts over once something was received', async () => {
    const w = hw.watchBatch('b');
    await settle();
    const waits = [];
    for (let i = 0; i < 9; i++) {
      await stand.last.fail();
      const wait = Number(w.connection.nextTry) - Date.now();
      waits.push(wait);
      await vi.advanceTimersByTimeAsync(wait);
      expect(stand.asked).toHaveLength(i + 2);
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
    await stand.last.stream('retry: 1000\n\n');
    await stand.last.send(frame('snapshot', snapshot(1)));
    await stand.last.close();
    expect(Number(w.connection.nextTry) - Date.now()).toBe(1000);
    w.close();
  });

  it('waits as long as Retry-After says', async () => {
    const w = hw.watchBatch('b');
    await settle();
    await stand.last.problem(503, 'views_rebuilding', { 'Retry-After': '20' });
    expect(w.connection).toMatchObject({ state: 'disconnected', error: { status: 503, retryAfter: 20 } });
    expect(Number(w.connection.nextTry) - Date.now()).toBe(25_000); // and up to half as long again
    await vi.advanceTimersByTimeAsync(25_000);
    await stand.last.problem(429, 'too_many_streams', { 'Retry-After': new Date(Date.now() + 10_000).toUTCString() });
    const wait = Number(w.connection.nextTry) - Date.now();
    expect(wait).toBeGreaterThanOrEqual(10_000);
    expect(wait).toBeLessThanOrEqual(12_500);
    w.close();
  });

  it('takes 45 s of silence as death, and comments as life', async () => {
    const s = seen();
    const w = hw.watchBatch('b', s);
    await settle();
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(1)));
    for (let i = 0; i < 4; i++) {
      await vi.advanceTimersByTimeAsync(44_000);
      for (const a of stand.asked.slice(1)) if (a.open) await a.json(200, { view: snapshot(1).view });
      await stand.asked[0]?.send(':\n\n');
    }
    expect(stand.asked[0]?.open).toBe(true);
    await vi.advanceTimersByTimeAsync(44_999);
    expect(stand.asked[0]?.open).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(stand.asked[0]?.open).toBe(false);
    expect(w.connection).toMatchObject({ state: 'disconnected', staleSince: new Date(Date.now() - 45_000) });
    w.close();
  });

  it('ends with 204, and with the event end, and asks no more', async () => {
    const ends: number[] = [];
    const w = hw.watchBatch('b', { onEnd: s => ends.push(s.view.revision) });
    await settle();
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(7)));
    await stand.last.close();
    await vi.advanceTimersByTimeAsync(1000);
    await stand.last.answer(204);
    expect(w.connection.state).toBe('ended');
    expect(ends).toEqual([7]);
    w.close();

    const w2 = hw.watchBatch('c', { onEnd: s => ends.push(s.view.revision) });
    await settle();
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(9)) + frame('end', snapshot(9)));
    expect(w2.connection.state).toBe('ended');
    expect(ends).toEqual([7, 9]);
    expect(stand.open).toBe(0);
    const asked = stand.asked.length;
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(stand.asked).toHaveLength(asked);
    w2.close();
  });

  it.each([408, 429, 500, 502, 503, 504])('tries again soon after %i', async status => {
    const w = hw.watchBatch('b');
    await settle();
    await stand.last.problem(status, 'later');
    expect(w.connection).toMatchObject({ state: 'disconnected', nextTry: new Date(Date.now() + 250) });
    w.close();
  });

  it.each([401, 403, 404])('asks again slowly after %i', async status => {
    const s = seen();
    const w = hw.watchBatch('b', s);
    await settle();
    const waits = [];
    for (let i = 0; i < 6; i++) {
      await stand.last.problem(status, 'no');
      expect(w.connection).toMatchObject({ state: 'refused', error: { status, type: 'no' } });
      const wait = Number(w.connection.nextTry) - Date.now();
      waits.push(wait);
      await vi.advanceTimersByTimeAsync(wait);
    }
    expect(waits).toEqual([30_000, 60_000, 120_000, 240_000, 300_000, 300_000]);
    expect(stand.asked).toHaveLength(7);
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(1))); // it has come to life
    expect(w.connection.state).toBe('live');
    expect(s.errors).toHaveLength(6);
    w.close();
  });

  it('never asks again what can have no other answer', async () => {
    const w = hw.watchBatch('b');
    await settle();
    await stand.last.problem(400, 'validation_error');
    expect(w.connection).toMatchObject({ state: 'refused', nextTry: null, error: { type: 'validation_error' } });
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(stand.asked).toHaveLength(1);
    w.close();
  });

  it('takes a page for what it is', async () => {
    const w = hw.watchBatch('b');
    await settle();
    await stand.last.answer(200, '<html>', { 'Content-Type': 'text/html' });
    expect(w.connection).toMatchObject({ state: 'refused', error: { type: 'bad_answer' } });
    expect(Number(w.connection.nextTry) - Date.now()).toBe(30_000);
    w.close();
  });

  it('begins anew after an event that is no JSON', async () => {
    const s = seen();
    const w = hw.watchBatch('b', s);
    await settle();
    await stand.last.stream();
    await stand.last.send(`${frame('snapshot', snapshot(1))}id: s-1-2\nevent: update\ndata: {"batch\n\n`);
    expect(stand.open).toBe(0);
    expect(w.connection).toMatchObject({ state: 'disconnected', error: { type: 'bad_answer' } });
    await vi.advanceTimersByTimeAsync(1000);
    expect(stand.last.lastId).toBeNull();
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(2)));
    expect(s.revisions).toEqual([1, 2]);
    w.close();
  });

  it('reads the same wherever the bytes are divided', async () => {
    const text = `retry: 1000\n\n:\n\n${frame('snapshot', snapshot(1, { batch_name: 'größer ✓ 𝄞' }))}${frame('update', snapshot(2))}`;
    const bytes = new TextEncoder().encode(text);
    const names: string[] = [];
    for (let i = 1; i < bytes.length; i += i > 60 && i < bytes.length - 60 ? 37 : 1) {
      const s = seen();
      const w = hw.watchBatch('b', {
        ...s,
        onSnapshot: x => s.revisions.push(x.view.revision) && names.push(x.batch_name),
      });
      await settle();
      await stand.last.stream('');
      await stand.last.send(bytes.slice(0, i));
      await stand.last.send(bytes.slice(i));
      expect(s.revisions).toEqual([1, 2]);
      w.close();
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(new Set(names.filter((_, i) => i % 2 === 0))).toEqual(new Set(['größer ✓ 𝄞']));
  });

  it('ignores events of a later version', async () => {
    const s = seen();
    const w = hw.watchBatch('b', s);
    await settle();
    await stand.last.stream();
    await stand.last.send(`event: novelty\ndata: {"x":1}\n\n${frame('snapshot', snapshot(1))}`);
    expect(s.revisions).toEqual([1]);
    w.close();
  });
});

describe('rows', () => {
  const rows = (name: string, revision: number, set: object, more: object = {}) =>
    `id: s-1-${revision}\nevent: ${name}\ndata: ${JSON.stringify({ set: { view: snapshot(revision).view, ...set }, lists: {}, ...more })}\n\n`;

  it('are applied to the event before, also to one that is not shown', async () => {
    const got: Snapshot[] = [];
    const changes: string[] = [];
    const ends: number[] = [];
    hw.watchBatch('b', {
      onSnapshot: s => got.push(s),
      onHealth: (s, from) => changes.push(from + s.health),
      onEnd: s => ends.push(s.view.revision),
    });
    await settle();
    await stand.last.stream();
    await stand.last.send(
      frame('snapshot', snapshot(1, { owner: 'x' })) + rows('update-rows', 2, { overall_progress: 7 }),
    );
    await stand.last.send(rows('health-rows', 3, { health: 'stuck', owner: null }) + frame('update', snapshot(4)));
    await stand.last.send(rows('update-rows', 5, { batch_name: 'z' }) + rows('end-rows', 6, {}));
    expect(got[2]).toEqual(snapshot(3, { owner: null, overall_progress: 7, health: 'stuck' }));
    expect(got[4]).toEqual(snapshot(5, { batch_name: 'z' }));
    expect(changes).toEqual(['okstuck', 'stuckok']);
    expect(ends).toEqual([6]);
  });

  it.each([
    ['of nothing', ''],
    ['of a row that is not there', frame('snapshot', snapshot(2, { tiers: [] }))],
  ])('%s make the stream begin anew', async (_, before) => {
    const s = seen();
    const w = hw.watchBatch('b', s);
    await settle();
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(1)));
    await stand.last.close();
    await vi.advanceTimersByTimeAsync(1000);
    await stand.last.stream();
    await stand.last.send(
      before + rows('update-rows', 3, {}, { tiers: [{ key: 9, clocks: { duration_seconds: 1 } }] }),
    );
    expect(w.connection).toMatchObject({ state: 'disconnected', error: { type: 'bad_answer' } });
    await vi.advanceTimersByTimeAsync(1000);
    expect(stand.last.lastId).toBeNull();
    expect(s.revisions).not.toContain(3);
    w.close();
  });

  it('are not asked for where whole events are wanted', async () => {
    const w = new Headway({ url: 'http://h', fetch: stand.fetch, format: 'full' }).watchBatch('b');
    await settle();
    expect(stand.last.url).toBe('http://h/v1/analytics/performance/batches/b/diagnostics/stream?wait=false');
    w.close();
  });

  it('are not asked for again where a server does not know them', async () => {
    const s = seen();
    const w = hw.watchBatch('b', s);
    await settle();
    const error = {
      message: 'format: must be one of full, patch',
      type: 'validation_error',
      details: { field: 'format' },
    };
    await stand.last.json(400, { status: 400, success: false, error });
    expect(stand.last.url).toBe('http://h/v1/analytics/performance/batches/b/diagnostics/stream?wait=false');
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(1)) + frame('update', snapshot(2)));
    await stand.last.close();
    await vi.advanceTimersByTimeAsync(1500);
    expect(stand.asked.map(a => a.url.split('?')[1])).toEqual(['wait=false&format=rows', 'wait=false', 'wait=false']);
    expect(s.revisions).toEqual([1, 2]);
    expect(s.errors).toHaveLength(1); // of the connection that was closed
    w.close();
  });
});
