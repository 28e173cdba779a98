// What `make bench` prints of the dashboard: how soon it shows something, how much of the page there is, and how busy it keeps
// the browser. Measured with the browser's own trace; nothing is asserted.
import { readdir, readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import type { CDPSession } from 'playwright-core';
import { test } from 'vitest';
import { launch, nodes, open } from './browser';
import { answered, drop, healthy, listed, run, send } from './serve';
import { many, tall } from './workload';

const batches = 10_000;
const perSecond = 60;
const seconds = 10;

async function assets(): Promise<number> {
  const dir = new URL('../dist/assets/', import.meta.url);
  let sum = 0;
  for (const name of await readdir(dir)) sum += gzipSync(await readFile(new URL(name, dir)), { level: 9 }).length;
  return sum;
}

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  ts: number;
  dur?: number;
  args?: { name?: string };
}

/** The share of time in which the page's main thread ran tasks, while `during` went on. */
async function busy(cdp: CDPSession, during: () => Promise<void>): Promise<number> {
  const events: TraceEvent[] = [];
  cdp.on('Tracing.dataCollected', e => events.push(...(e.value as unknown as TraceEvent[])));
  const complete = new Promise<void>(resolve => cdp.once('Tracing.tracingComplete', () => resolve()));
  await cdp.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: {
      includedCategories: ['toplevel', 'disabled-by-default-devtools.timeline', 'devtools.timeline', '__metadata'],
    },
  });
  const begin = performance.now();
  await during();
  const lasted = performance.now() - begin;
  await cdp.send('Tracing.end');
  await complete;
  const mains = events
    .filter(e => e.name === 'thread_name' && e.args?.name === 'CrRendererMain')
    .map(e => `${e.pid}/${e.tid}`);
  const sums = new Map<string, number>();
  for (const e of events) {
    const thread = `${e.pid}/${e.tid}`;
    if (e.name === 'RunTask' && e.ph === 'X' && mains.includes(thread))
      sums.set(thread, (sums.get(thread) ?? 0) + (e.dur ?? 0) / 1000);
  }
  return Math.max(0, ...sums.values()) / lasted;
}

test('the dashboard in numbers', async () => {
  const browser = await launch();
  const h = await run();
  try {
    await send(h.url, many(batches, Date.now()));
    await listed(h.url, batches);
    await healthy(h.url, 'stuck', 104, 'default');
    console.log(`dashboard: assets ${((await assets()) / 1024).toFixed(1)} KiB gzipped`);

    const first: number[] = [];
    for (let i = 0; i < 5; i++) {
      const w = await open(browser, 'about:blank');
      const begin = performance.now();
      await w.page.goto(`${h.url}/`, { waitUntil: 'commit' });
      await w.page.waitForSelector('.row[data-id]');
      first.push(performance.now() - begin);
      await w.context.close();
    }
    first.sort((a, b) => a - b);
    console.log(
      `dashboard: ${batches} batches, first rows after ${first[2]?.toFixed(0)} ms (median of ${first.length}, ${first[0]?.toFixed(0)} to ${first.at(-1)?.toFixed(0)})`,
    );

    const w = await open(browser, `${h.url}/?health=ok`);
    await w.page.waitForSelector('[data-state="live"]');
    await w.page.waitForSelector('.row[data-id]');
    console.log(`dashboard: ${await nodes(w.page)} DOM nodes`);
    const shown = await w.page
      .locator('.row[data-id]')
      .evaluateAll(all => all.slice(0, 12).map(r => r.getAttribute('data-id') ?? ''));
    const cdp = await w.context.newCDPSession(w.page);
    const idle = await busy(cdp, () => new Promise(r => setTimeout(r, 3000)));
    let sent = 0;
    await w.page.evaluate(
      'window.changes = 0; new MutationObserver(all => { window.changes += all.length; }).observe(document.querySelector(".rows"), { subtree: true, characterData: true, childList: true, attributes: true }); 0',
    );
    const share = await busy(cdp, async () => {
      // Each update is of a row on screen, and says something new.
      const begin = performance.now();
      while (performance.now() - begin < seconds * 1000) {
        const due = Math.floor(((performance.now() - begin) / 1000) * perSecond) - sent;
        if (due > 0) {
          const at = Date.now();
          await send(
            h.url,
            Array.from({ length: due }, () => {
              const id = shown[sent % shown.length] ?? '';
              const tier = Number(id.slice(5)) % 4;
              sent++;
              const data = { tier_num: tier, processed_documents: 1000 + sent * 40, total_documents: 100_000 };
              return { batch: id, type: 'tier' as const, at, data };
            }),
          );
        }
        await new Promise(r => setTimeout(r, 5));
      }
    });
    const changes = (await w.page.evaluate('window.changes')) as number;
    console.log(
      `dashboard: main thread busy ${(share * 100).toFixed(1)} % at ${(sent / seconds).toFixed(0)} updates/s of rows on screen (${changes} changes drawn), ${(idle * 100).toFixed(1)} % without`,
    );
    await w.context.close();

    await send(h.url, tall('tall', 10_000, Date.now()), 'tall');
    await answered(h.url, 'tall', s => s.page?.tiers.total === 10_000, 'tall');
    const t = await open(browser, 'about:blank');
    const begin = performance.now();
    await t.page.goto(`${h.url}/batches/tall?namespace=tall`, { waitUntil: 'commit' });
    await t.page.waitForSelector('.tiers li', { timeout: 60_000 });
    console.log(
      `dashboard: a batch of 10,000 tiers after ${(performance.now() - begin).toFixed(0)} ms, ${await nodes(t.page)} DOM nodes`,
    );
    await t.context.close();
  } finally {
    await browser.close();
    await drop(h);
  }
}, 300_000);
