import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Headway, HeadwayError } from '../../src/index.ts';
import { Stand, settle } from './stand.ts';

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
});

describe('credentials', () => {
  it('are asked for anew at each connection', async () => {
    let n = 0;
    hw = new Headway({ url: 'http://h', namespace: 'team-a', fetch: stand.fetch, token: async () => `t${++n}` });
    const w = hw.watchBatch('b');
    await settle();
    expect(stand.last.headers.get('Authorization')).toBe('Bearer t1');
    expect(stand.last.headers.get('X-Namespace')).toBe('team-a');
    await stand.last.fail();
    await vi.advanceTimersByTimeAsync(250);
    expect(stand.last.headers.get('Authorization')).toBe('Bearer t2');
    w.close();
  });

  it('that expired on the way are replaced once, and not asked about in a loop', async () => {
    let token = 'old';
    hw = new Headway({ url: 'http://h', fetch: stand.fetch, token: () => token });
    const w = hw.watchBatch('b');
    await settle();
    token = 'new';
    await stand.last.problem(401, 'expired');
    expect(stand.last.headers.get('Authorization')).toBe('Bearer new');
    await stand.last.problem(401, 'expired');
    expect(stand.asked).toHaveLength(2);
    expect(w.connection.state).toBe('refused');
    w.close();
  });

  it('that stay the same are not tried twice', async () => {
    hw = new Headway({ url: 'http://h', fetch: stand.fetch, token: () => 'same' });
    const w = hw.watchBatch('b');
    await settle();
    await stand.last.problem(401, 'wrong');
    expect(stand.asked).toHaveLength(1);
    expect(w.connection.state).toBe('refused');
    w.close();
  });

  it('that never come hold up nothing', async () => {
    hw = new Headway({ url: 'http://h', fetch: stand.fetch, token: () => new Promise(() => {}) });
    const w = hw.watchBatch('b');
    await vi.advanceTimersByTimeAsync(45_000);
    expect(w.connection.state).toBe('disconnected');
    const stop = new AbortController();
    const asked = hw.list({}, { signal: stop.signal });
    asked.catch(() => {});
    stop.abort();
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
    w.close();
  });

  it('that can not be had are a failure like another', async () => {
    hw = new Headway({ url: 'http://h', fetch: stand.fetch, token: () => Promise.reject(new Error('signed out')) });
    const w = hw.watchBatch('b');
    await settle();
    expect(w.connection).toMatchObject({ state: 'disconnected', error: { type: 'token' } });
    expect(stand.asked).toHaveLength(0);
    w.close();
  });
});

describe('questions', () => {
  it('say what they ask for', async () => {
    void hw.diagnostics('a b/c', { fields: ['status', 'view'], tiersOffset: 0, tiersLimit: 10 });
    await settle();
    expect(stand.last.url).toBe(
      'http://h/v1/analytics/performance/batches/a%20b%2Fc/diagnostics?fields=status%2Cview&tiers_offset=0&tiers_limit=10',
    );
    void hw.diagnostics('b', { at: new Date(0) });
    await settle();
    expect(stand.last.url).toBe(
      'http://h/v1/analytics/performance/batches/b/diagnostics?at=1970-01-01T00%3A00%3A00.000Z',
    );
    void hw.explain('b', { at: '2026-11-20T03:00Z' });
    await settle();
    expect(stand.last.url).toBe(
      'http://h/v1/analytics/performance/batches/b/diagnostics/explain?at=2026-11-20T03%3A00Z',
    );
    void hw.list({
      health: ['stuck', 'degraded'],
      pipeline: ['p', 'q'],
      labels: { team: 'x&y' },
      created_after: new Date(0),
      cursor: null,
    });
    await settle();
    expect([...new URL(stand.last.url).searchParams]).toEqual([
      ['health', 'stuck,degraded'],
      ['created_after', '1970-01-01T00:00:00.000Z'],
      ['pipeline', 'p'],
      ['pipeline', 'q'],
      ['label', 'team:x&y'],
    ]);
  });

  it('ask for batches that have ended', async () => {
    void hw.history({
      from: '2026-03-01',
      to: new Date(0),
      status: ['FAILED', 'CANCELED'],
      pipeline: 'a,b',
      cursor: null,
    });
    await settle();
    const url = new URL(stand.last.url);
    expect(url.pathname).toBe('/v1/batches/history');
    expect([...url.searchParams]).toEqual([
      ['from', '2026-03-01'],
      ['to', '1970-01-01T00:00:00.000Z'],
      ['status', 'FAILED,CANCELED'],
      ['pipeline', 'a,b'],
    ]);
    void hw.historyDays({ from: '2026-03-01' });
    await settle();
    expect(stand.last.url).toContain('/v1/batches/history/days?from=2026-03-01');
  });

  it('ask for the runs of a pipeline', async () => {
    void hw.runs('a/b ü', { limit: 5, cursor: null });
    await settle();
    expect(stand.last.url).toContain('/v1/pipelines/a%2Fb%20%C3%BC/runs?limit=5');
    void hw.runs('media');
    await settle();
    expect(stand.last.url).toMatch(/\/runs$/);
  });

  it('ask which batches have something in common', async () => {
    void hw.groups({ by: 'cause', alike: 'a job waits, needs 8 GPUs', owner: ['ana', ''], limit: 5 });
    await settle();
    const url = new URL(stand.last.url);
    expect(url.pathname).toBe('/v1/batches/groups');
    expect([...url.searchParams]).toEqual([
      ['by', 'cause'],
      ['limit', '5'],
      ['owner', 'ana'],
      ['owner', ''],
      ['alike', 'a job waits, needs 8 GPUs'],
    ]);
  });

  it('tell why they were not answered', async () => {
    const p = hw.explain('b');
    p.catch(() => {});
    await settle();
    await stand.last.problem(404, 'not_found');
    await expect(p).rejects.toMatchObject({ name: 'HeadwayError', status: 404, type: 'not_found', retryAfter: null });
    const q = hw.list();
    q.catch(() => {});
    await settle();
    await stand.last.answer(502, '<html>bad gateway');
    await expect(q).rejects.toMatchObject({ status: 502, type: 'http_502' });
    const r = hw.list();
    r.catch(() => {});
    await settle();
    await stand.last.fail();
    await expect(r).rejects.toBeInstanceOf(HeadwayError);
    const stop = new AbortController();
    const s = hw.list({}, { signal: stop.signal });
    s.catch(() => {});
    await settle();
    stop.abort();
    await expect(s).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('are refused where an option is wrong', () => {
    expect(() => new Headway()).toThrow('url');
    expect(() => new Headway({ url: 'ftp://h' })).toThrow('url');
    expect(() => new Headway({ url: 'http://h', namespace: 'a b' })).toThrow('namespace');
  });
});
