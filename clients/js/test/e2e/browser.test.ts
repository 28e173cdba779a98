import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Front } from './front.ts';
import { eventually, have, headwayBinary, Running } from './servers.ts';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const file = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const parser = fileURLToPath(new URL('index.js', import.meta.resolve('eventsource-parser')));

/** A page that watches with the built client and writes down what it is shown. */
const watching = `<!doctype html><meta charset="utf-8"><title>watching</title>
<script type="importmap">{"imports":{"@headway/client":"/dist/index.js","eventsource-parser":"/eventsource-parser/index.js"}}</script>
<script type="module">
  import { Headway } from '@headway/client';
  const batch = new URLSearchParams(location.search).get('batch');
  window.shown = [];
  window.watch = new Headway().watchBatch(batch, { onSnapshot: s => shown.push(s.view.revision) });
</script>`;

/** Serves pages and modules beside the API, since it must be the same origin. */
const pages: Front['serve'] = (req, res) => {
  const path = new URL(req.url ?? '/', 'http://h').pathname;
  const reply = (type: string, body: string | Buffer) => {
    res.writeHead(200, { 'Content-Type': type }).end(body);
    return true;
  };
  if (path === '/watching.html') return reply('text/html', watching);
  if (path === '/eventsource.html') return reply('text/html', readFileSync(file('examples/eventsource.html')));
  const module = path.startsWith('/dist/')
    ? file(path.slice(1))
    : parser.replace('index.js', path.split('/').at(-1) ?? '');
  if (path.endsWith('.js') && existsSync(module)) return reply('text/javascript', readFileSync(module));
  return false;
};

const ready = have('in Chromium', headwayBinary, executablePath, file('dist/index.js'));
describe.skipIf(!ready)('in Chromium', () => {
  const server = new Running();
  let browser: Browser;
  let context: BrowserContext;
  let front: Front;
  const said: string[] = []; // errors of pages

  beforeAll(async () => {
    await server.start();
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser?.close();
    await server.close();
  });
  beforeEach(async () => {
    front = new Front(() => server.port);
    front.serve = pages;
    await front.start();
    context = await browser.newContext();
    said.length = 0;
    return async () => {
      await context.close();
      front.close();
      expect(said).toEqual([]);
    };
  });

  async function open(path: string): Promise<Page> {
    const page = await context.newPage();
    page.on('pageerror', e => said.push(String(e)));
    await page.goto(front.url + path);
    return page;
  }
  const revision = (p: Page) => p.evaluate(() => (globalThis as unknown as { shown: number[] }).shown.at(-1) ?? 0);
  const state = (p: Page) =>
    p.evaluate(() => (globalThis as unknown as { watch: { connection: { state: string } } }).watch.connection.state);

  it('the example with EventSource alone shows a batch to its end, over a cut', async () => {
    await server.begin('example');
    const page = await open('/eventsource.html?batch=example');
    await page.waitForFunction(() => document.querySelector('#state')?.textContent?.includes(' 0 %'));
    await server.progress('example', 250_000);
    await page.waitForFunction(() => document.querySelector('#state')?.textContent?.includes(' 25 %'));
    const shown = await page.textContent('#state');
    front.cut('in the test');
    await eventually('another connection', 20_000, () => front.streams === 2 && front.open === 1);
    const id = front.resumed.at(-1);
    expect(id).toBeTruthy();
    expect(shown).toContain(`(${id})`);
    await server.progress('example', 500_000);
    await page.waitForFunction(() => document.querySelector('#state')?.textContent?.includes(' 50 %'));
    await server.finish('example');
    await page.waitForFunction(() => document.querySelector('#state')?.textContent?.startsWith('COMPLETED'));
    await eventually('the end', 10_000, () => front.open === 0);
    expect(await page.locator('#next li').count()).toBeGreaterThan(0);
    expect(front.most).toBe(1);
  });

  it('an EventSource that is left alone stops at 204', async () => {
    await server.begin('alone');
    const page = await open('/eventsource.html?batch=alone');
    const over = page.evaluate(async () => {
      const source = new EventSource('/v1/analytics/performance/batches/alone/diagnostics/stream');
      let end = '';
      source.addEventListener('end', e => {
        end = e.lastEventId;
      });
      while (source.readyState !== EventSource.CLOSED) await new Promise(r => setTimeout(r, 50));
      return end;
    });
    await eventually('both connected', 20_000, () => front.open === 2);
    await server.finish('alone');
    const end = await over;
    expect(end).not.toBe('');
    expect(front.resumed.at(-1)).toBe(end);
  });

  it('tabs share one connection; when the one that holds it is closed, crashes or is put aside, another has it', async () => {
    const batch = 'tabs';
    await server.begin(batch);
    let n = 0;
    let tabs: Page[] = [];
    for (let i = 0; i < 4; i++) tabs.push(await open(`/watching.html?batch=${batch}`)); // the first comes to hold it
    /** All tabs show a change, over one connection. */
    const all = async () => {
      await server.progress(batch, ++n);
      const newest = await eventually('the change', 10_000, async () => {
        const s = await server.snapshot(batch);
        return s.tiers[0]?.progress?.processed_documents === n ? s : null;
      });
      for (const t of tabs) {
        await eventually('a tab on the newest', 20_000, async () => (await revision(t)) >= newest.view.revision);
        expect(await state(t)).toBe('live');
      }
      expect(front.open).toBe(1);
      return newest.view.id;
    };
    let id = await all();
    const another = async (what: string) => {
      const before = front.streams;
      await eventually(what, 20_000, () => front.streams > before);
      expect(front.resumed.at(-1)?.split('.')[0]).toBe(id);
      id = await all();
    };

    const closed = another('after a close');
    await tabs[0]?.close();
    tabs = tabs.slice(1);
    await closed;

    const crashed = another('after a crash');
    const dying = tabs[0] as Page;
    tabs = tabs.slice(1);
    const cdp = await context.newCDPSession(dying);
    void cdp.send('Page.crash').catch(() => {});
    await crashed;

    // A page without a screen is never hidden, so it is told that it was.
    const hidden = tabs[0] as Page;
    tabs = tabs.slice(1);
    const handed = another('after it was put aside');
    await hidden.evaluate(() => document.dispatchEvent(new Event('freeze')));
    await handed;
    expect(await state(hidden)).toBe('paused');
    await hidden.evaluate(() => document.dispatchEvent(new Event('resume')));
    tabs.push(hidden);
    await all(); // back, it follows

    expect(front.most).toBe(1);
    await server.finish(batch);
    for (const t of tabs) await eventually('a tab at the end', 20_000, async () => (await state(t)) === 'ended');
    await eventually('the connection ended', 10_000, () => front.open === 0);
  });
});
