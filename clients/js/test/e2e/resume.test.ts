import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Headway, type Snapshot } from '../../src/index.ts';
import { Front } from './front.ts';
import { eventually, have, headwayBinary, Running, toxiproxyBinary } from './servers.ts';
import { Toxiproxy } from './toxiproxy.ts';

const clients = 24;
const cuts = 200;

/** One who watches, over connections of its own: client → front → toxiproxy → headway. */
class Watcher {
  readonly shown: Snapshot[] = [];
  readonly errors: Error[] = [];
  readonly states: string[] = [];
  readonly front: Front;
  readonly name: string;
  ended = 0;
  calm = false; // tokens last
  lowest: string | null = null; // a revision that went back
  readonly #stop = new AbortController();

  constructor(name: string, toxic: () => number) {
    this.name = name;
    this.front = new Front(toxic);
  }

  get revision(): number {
    return this.shown.at(-1)?.view.revision ?? 0;
  }

  watch(batch: string, format: 'full' | 'rows'): void {
    // A cache of tokens that sometimes gives one that has expired, once, as caches with a clock of their own do.
    let expires = 0;
    let stale = false;
    this.front.valid = token => Number(token) - Date.now();
    const token = () => {
      stale = !stale && expires !== 0 && expires < Date.now() && Math.random() < 0.5;
      if (!stale && expires < Date.now() + 500) {
        expires = Date.now() + (this.calm ? 60_000 : 1500 + Math.round(Math.random() * 4500));
      }
      return String(expires);
    };
    new Headway({ url: this.front.url, token, format }).watchBatch(batch, {
      signal: this.#stop.signal,
      onSnapshot: s => {
        const before = this.shown.at(-1);
        if (before && !(s.view.revision > before.view.revision)) this.lowest ??= `${before.view.id} then ${s.view.id}`;
        this.shown.push(s);
      },
      onConnection: c => this.states.push(c.state),
      onError: e => this.errors.push(e),
      onEnd: () => this.ended++,
    });
  }

  close(): void {
    this.#stop.abort();
    this.front.close();
  }
}

describe.skipIf(!have('resuming', headwayBinary, toxiproxyBinary))('a client whose connection is lost', () => {
  const server = new Running();
  const toxiproxy = new Toxiproxy();
  const watchers: Watcher[] = [];

  beforeAll(async () => {
    await Promise.all([server.start(), toxiproxy.start()]);
  });
  afterAll(async () => {
    for (const w of watchers) w.close();
    await Promise.all([server.close(), toxiproxy.close()]);
  });

  it(`${cuts} times, ends on the newest, shows nothing older, over one connection at a time`, async () => {
    const batch = 'resumed';
    await server.begin(batch);
    for (let i = 0; i < clients; i++) {
      const port = await toxiproxy.proxy(`p${i}`, `127.0.0.1:${server.port}`);
      const w = new Watcher(`p${i}`, () => port);
      watchers.push(w);
      if (i % 4 === 3) w.front.hold = 8 << 10; // a proxy that buffers
      await w.front.start();
      w.watch(batch, i % 2 === 0 ? 'full' : 'rows');
    }
    const total = () => watchers.flatMap(w => Object.values(w.front.cuts)).reduce((a, b) => a + b, 0);

    const began = Date.now();
    const took: string[] = [];
    const lap = (what: string) => took.push(`${what} ${((Date.now() - began) / 1000).toFixed(1)} s`);
    let stop = false;
    let said = 0;
    const producer = (async () => {
      while (!stop) {
        await server.progress(batch, ++said);
        await new Promise(r => setTimeout(r, 25));
      }
    })();
    const chaos = watchers.map(async w => {
      while (!stop) await harm(toxiproxy, w);
    });
    const kills = (async () => {
      for (const at of [cuts / 4, cuts / 2]) {
        await eventually('cuts', 90_000, () => total() >= at);
        await server.kill();
        await server.start();
        lap('killed and started again');
      }
    })();
    await kills;
    await eventually(`${cuts} cuts`, 90_000, () => total() >= cuts);
    lap('cuts');
    stop = true;
    for (const w of watchers) w.calm = true;
    await Promise.all([producer, ...chaos]);

    await server.progress(batch, ++said); // what all must come to show
    const newest = await eventually('the newest revision', 10_000, async () => {
      const s = await server.snapshot(batch);
      return s.tiers[0]?.progress?.processed_documents === said ? s : null;
    });
    for (const w of watchers) {
      await eventually(`${w.name} on the newest`, 60_000, () => {
        if (w.revision >= newest.view.revision) return true;
        throw new Error(`it shows ${w.revision} of ${newest.view.revision}, ${w.states.slice(-5)}, ${w.errors.at(-1)}`);
      });
    }
    lap('newest');
    await server.finish(batch);
    for (const w of watchers) await eventually(`${w.name} at the end`, 60_000, () => w.ended === 1);
    lap('end');
    const last = await server.snapshot(batch);

    const by: Record<string, number> = {};
    for (const w of watchers) {
      for (const [why, n] of Object.entries(w.front.cuts)) by[why] = (by[why] ?? 0) + n;
      expect(w.lowest, w.name).toBeNull();
      expect(w.front.most, w.name).toBe(1);
      const shown = w.shown.at(-1);
      expect({ ...shown, view: null }, w.name).toEqual({ ...last, view: null });
      expect(shown?.view.id).toBe(last.view.id);
      expect(new Set(w.shown.map(s => s.view.id.split('-')[0])).size).toBe(1);
    }
    expect(total()).toBeGreaterThanOrEqual(cuts);
    expect(by['token expired']).toBeGreaterThan(0);
    expect(watchers.some(w => w.front.refusals > 0)).toBe(true);
    const resumed = watchers.flatMap(w => w.front.resumed).filter(Boolean).length;
    expect(resumed).toBeGreaterThan(cuts / 2);
    const shown = watchers.reduce((n, w) => n + w.shown.length, 0);
    console.info(
      `${total()} cuts`,
      by,
      `${resumed} resumed, ${said} changes, ${shown} shown by ${clients}; ${took.join(', ')}`,
    );
  });
});

/** Harms a connection once, in one way or another. */
async function harm(toxiproxy: Toxiproxy, w: Watcher): Promise<void> {
  const ways: [string, object][] = [
    ['limit_data', { bytes: Math.round(500 + Math.random() * 20_000) }], // in the middle of an event
    ['reset_peer', { timeout: Math.round(Math.random() * 800) }],
    ['timeout', { timeout: 1 + Math.round(Math.random() * 800) }], // nothing passes, then it closes
    ['slicer', { average_size: 64, size_variation: 32, delay: 10 }],
    ['bandwidth', { rate: 8 }], // slower than what comes
  ];
  const way = ways[Math.floor(Math.random() * ways.length)];
  if (!way) return;
  const [type, attributes] = way;
  await toxiproxy.poison(w.name, type, attributes);
  await new Promise(r => setTimeout(r, 300 + Math.random() * 900));
  await toxiproxy.heal(w.name, type);
  await new Promise(r => setTimeout(r, Math.random() * 600)); // time to be well
}
