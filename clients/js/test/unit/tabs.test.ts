import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Headway } from '../../src/index.ts';
import { event, frame, list, row, Stand, settle, snapshot } from './stand.ts';

/** The locks of a browser, as far as they are used; a lock is also lost when its tab dies. */
class Locks {
  readonly #held = new Map<string, { lose: (e: unknown) => void; free: () => void }>();
  readonly #waiting = new Map<string, (() => void)[]>();

  request(name: string, o: LockOptions, run: () => unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const grant = () => {
        const free = () => {
          if (this.#held.get(name)?.free !== free) return;
          this.#held.delete(name);
          this.#waiting.get(name)?.shift()?.();
        };
        this.#held.set(name, { lose: reject, free });
        Promise.resolve(run()).then(
          v => {
            free();
            resolve(v);
          },
          e => {
            free();
            reject(e);
          },
        );
      };
      if (o.steal) {
        this.#held.get(name)?.lose(new DOMException('stolen', 'AbortError'));
        grant();
        return;
      }
      if (!this.#held.has(name)) return grant();
      const queue = this.#waiting.get(name) ?? [];
      this.#waiting.set(name, queue);
      queue.push(grant);
      o.signal?.addEventListener('abort', () => {
        const i = queue.indexOf(grant);
        if (i >= 0) queue.splice(i, 1);
        reject(o.signal?.reason);
      });
    });
  }

  /** The holder's tab dies. */
  kill(name: string): void {
    this.#held.get(name)?.free();
  }

  get names(): string[] {
    return [...this.#held.keys()];
  }
}

let channels: Channel[] = [];
class Channel {
  onmessage: ((e: { data: unknown }) => void) | null = null;
  muted = false; // its tab is frozen
  readonly name: string;
  constructor(name: string) {
    this.name = name;
    channels.push(this);
  }
  postMessage(data: unknown): void {
    if (this.muted) return;
    const copy = structuredClone(data);
    for (const c of channels) {
      if (c !== this && c.name === this.name) queueMicrotask(() => !c.muted && c.onmessage?.({ data: copy }));
    }
  }
  close(): void {
    channels = channels.filter(c => c !== this);
  }
}

let stand: Stand;
let locks: Locks;
const tab = (o = {}) => new Headway({ url: 'http://h', fetch: stand.fetch, ...o });

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  stand = new Stand();
  locks = new Locks();
  channels = [];
  vi.stubGlobal('document', Object.assign(new EventTarget(), { visibilityState: 'visible' }));
  vi.stubGlobal('addEventListener', () => {});
  vi.stubGlobal('removeEventListener', () => {});
  vi.stubGlobal('navigator', { locks });
  vi.stubGlobal('BroadcastChannel', Channel);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe('tabs', () => {
  it('share one connection: what one receives all show, and one that comes late as well', async () => {
    const a = tab().watchBatch('b');
    const b = tab().watchBatch('b');
    await settle();
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(1)) + frame('update', snapshot(2)));
    expect([a, b].map(w => [w.latest?.view.revision, w.connection.state])).toEqual([
      [2, 'live'],
      [2, 'live'],
    ]);
    const c = tab().watchBatch('b');
    await settle();
    expect(c.latest?.view.revision).toBe(2);
    expect(c.connection.state).toBe('live');
    await stand.last.close();
    expect(b.connection).toMatchObject({ state: 'disconnected', error: { name: 'HeadwayError', type: 'cut' } });
    expect(b.connection.nextTry).toEqual(a.connection.nextTry);
    expect(stand.asked).toHaveLength(1);
    for (const w of [a, b, c]) w.close();
    await vi.advanceTimersByTimeAsync(1);
    expect(locks.names).toEqual([]);
    expect(channels).toEqual([]);
  });

  it('hand the connection over, with the place in it', async () => {
    const a = tab().watchBatch('b');
    const b = tab().watchBatch('b');
    await settle();
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(7)));
    a.close();
    await settle();
    await vi.advanceTimersByTimeAsync(249);
    expect(stand.open).toBe(0); // the one before has time to be closed everywhere
    await vi.advanceTimersByTimeAsync(1);
    expect(stand.open).toBe(1);
    expect(stand.asked).toHaveLength(2);
    expect(stand.last.lastId).toBe('s-1-7');
    await stand.last.stream();
    await stand.last.send(frame('update', snapshot(8)));
    expect(b.latest?.view.revision).toBe(8);
    b.close();
  });

  it('that are alive take over from one that died, or is frozen with the lock', async () => {
    const a = tab().watchBatch('b');
    const b = tab().watchBatch('b');
    const c = tab().watchBatch('b');
    await settle();
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(1)));
    (channels[0] as Channel).muted = true; // frozen: it has the lock and says nothing
    await vi.advanceTimersByTimeAsync(44_999 - 10_000);
    expect(b.connection.state).toBe('live');
    await vi.advanceTimersByTimeAsync(10_001);
    expect(b.connection.state).toBe('disconnected');
    await vi.advanceTimersByTimeAsync(2_750);
    await settle();
    expect(stand.open).toBe(1); // one of them took the lock; the frozen one has let go
    expect(stand.last.lastId).toBe('s-1-1');
    await stand.last.stream();
    await stand.last.send(frame('update', snapshot(2)));
    expect([b, c].map(w => [w.latest?.view.revision, w.connection.state])).toEqual([
      [2, 'live'],
      [2, 'live'],
    ]);
    (channels[0] as Channel).muted = false; // thawed, it follows
    await stand.last.send(frame('update', snapshot(3)));
    expect(a.latest?.view.revision).toBe(3);
    for (const w of [a, b, c]) w.close();
  });

  it('learn of each other what a silent stream was asked beside', async () => {
    const a = tab().watchBatch('b');
    const b = tab().watchBatch('b');
    await settle();
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(1)));
    await vi.advanceTimersByTimeAsync(15_000);
    expect(stand.asked).toHaveLength(2); // one asks for all
    await stand.last.json(200, { view: snapshot(5).view });
    await stand.last.json(200, snapshot(5));
    expect(b.latest?.view.revision).toBe(5);
    await vi.advanceTimersByTimeAsync(5_000);
    await stand.last.json(200, { view: { ...snapshot(5).view, lag_seconds: 99 } });
    expect([a.connection.state, b.connection.state]).toEqual(['behind', 'behind']);
    await vi.advanceTimersByTimeAsync(5_000);
    await stand.last.json(200, { view: snapshot(5).view });
    expect([a.connection.state, b.connection.state]).toEqual(['live', 'live']);
    const late = snapshot(6);
    await stand.asked[0]?.send(frame('update', { ...late, view: { ...late.view, lag_seconds: 42 } }));
    expect([a.connection.state, b.connection.state]).toEqual(['behind', 'behind']);
    await vi.advanceTimersByTimeAsync(5_000);
    await stand.last.json(200, { view: late.view });
    expect([a.connection.state, b.connection.state]).toEqual(['live', 'live']);
    a.close();
    b.close();
  });

  it('share a list, and one that comes late disturbs no other', async () => {
    let lists = 0;
    const a = tab().watchList();
    const b = tab().watchList({ onSnapshot: () => lists++ });
    await settle();
    await stand.last.stream();
    await stand.last.send(event('snapshot', list([row('x', 1)])) + event('update', row('y', 2)));
    const c = tab().watchList();
    await settle();
    expect(c.latest?.map(r => r.batch_id).sort()).toEqual(['x', 'y']);
    await stand.last.send(event('update', row('x', 3)));
    expect([a, b, c].map(w => w.latest?.find(r => r.batch_id === 'x')?.revision)).toEqual([3, 3, 3]);
    expect(lists).toBe(1);
    for (const w of [a, b, c]) w.close();
  });

  it('all end when the batch has', async () => {
    const ends: string[] = [];
    tab().watchBatch('b', { onEnd: () => ends.push('a') });
    const b = tab().watchBatch('b', { onEnd: () => ends.push('b') });
    await settle();
    await stand.last.stream();
    await stand.last.send(frame('snapshot', snapshot(1)) + frame('end', snapshot(2)));
    expect(ends.sort()).toEqual(['a', 'b']);
    expect(b.connection.state).toBe('ended');
    expect(locks.names).toEqual([]);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(stand.asked).toHaveLength(1);
    expect(channels).toEqual([]);
  });

  it('do not share across namespaces, scopes or credentials, nor where they are told not to', async () => {
    const options = [
      {},
      { namespace: 'n' },
      { share: 'ann' },
      { share: false },
      { token: () => 't' },
      { token: () => 't', share: 'bob' },
    ];
    const all = options.map(o => tab(o).watchBatch('b'));
    await settle();
    expect(stand.open).toBe(options.length);
    const more = [tab({ token: () => 't', share: 'bob' }), tab({ token: () => 't', share: true })].map(h =>
      h.watchBatch('b'),
    );
    await settle();
    expect(stand.open).toBe(options.length);
    for (const w of [...all, ...more]) w.close();
  });
});
