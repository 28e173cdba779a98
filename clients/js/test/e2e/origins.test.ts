import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually, freePort, have, headwayBinary, listen, Running } from './servers.ts';

// Pages of other origins than the API's, in a real browser, and a real API with keys.

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const file = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const parser = fileURLToPath(new URL('index.js', import.meta.resolve('eventsource-parser')));

/** A page that watches with the built client, asks its own server for tokens, and writes down what it is shown. */
const watching = `<!doctype html><meta charset="utf-8"><title>watching</title>
<script type="importmap">{"imports":{"@headway/client":"/dist/index.js","eventsource-parser":"/eventsource-parser/index.js"}}</script>
<script type="module">
  import { Headway } from '@headway/client';
  const q = new URLSearchParams(location.search);
  window.revisions = []; window.states = []; window.errors = []; window.asked = [];
  const token = q.get('fixed') ?? (async refused => {
    asked.push(refused?.kind ?? null);
    return (await fetch('/token')).text();
  });
  window.Headway = Headway;
  window.watch = new Headway({ url: q.get('api'), token }).watchBatch(q.get('batch'), {
    onSnapshot: s => revisions.push(s.view.revision),
    onConnection: c => states.push(c.state),
    onError: e => errors.push(e.kind),
  });
</script>`;

interface Loaded {
  Headway: new (o: object) => { diagnostics(id: string): Promise<unknown> };
}

interface Shown {
  revisions: number[];
  states: string[];
  errors: string[];
  asked: (string | null)[];
}

const ready = have('other origins', headwayBinary, executablePath, file('dist/index.js'));
describe.skipIf(!ready)('a page of another origin', () => {
  let server: Running;
  let site: Server; // of the allowed origin
  let stranger: Server; // of one that isn't
  let origin = '';
  let foreign = '';
  let token = ''; // that the site's server gives its page
  let browser: Browser;
  let context: BrowserContext;

  beforeAll(async () => {
    const serve = () =>
      createServer((req, res) => {
        const path = new URL(req.url ?? '/', 'http://h').pathname;
        const reply = (type: string, body: string | Buffer) =>
          res.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(body);
        if (path === '/token') return reply('text/plain', token);
        if (path === '/watching.html') return reply('text/html', watching);
        if (path === '/ticket.html') return reply('text/html', readFileSync(file('examples/ticket.html')));
        if (path === '/plain.html') return reply('text/html', '<!doctype html><title>plain</title>');
        const module = path.startsWith('/dist/')
          ? file(path.slice(1))
          : parser.replace('index.js', path.split('/').at(-1) ?? '');
        if (path.endsWith('.js') && existsSync(module)) return reply('text/javascript', readFileSync(module));
        return res.writeHead(404).end();
      });
    site = serve();
    stranger = serve();
    const port = await freePort();
    origin = `http://localhost:${port}`;
    server = new Running(['--access', 'keys', '--cors-origin', origin]);
    await Promise.all([server.start(), listen(site, port)]);
    foreign = `http://localhost:${await listen(stranger)}`;
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser?.close();
    for (const s of [site, stranger]) {
      s?.close();
      s?.closeAllConnections();
    }
    await server?.close();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    return () => context.close();
  });

  async function open(at: string): Promise<Page> {
    const page = await context.newPage();
    await page.goto(at);
    return page;
  }
  const shown = (p: Page): Promise<Shown> =>
    p.evaluate(() => {
      const { revisions, states, errors, asked } = globalThis as unknown as Shown;
      return { revisions, states, errors, asked };
    });
  const connection = (p: Page) =>
    p.evaluate(() => {
      const { watch } = globalThis as unknown as {
        watch: { connection: { state: string; nextTry: Date | null; error: null | Record<string, unknown> } };
      };
      const { state, nextTry, error } = watch.connection;
      const { kind, status, detail, advice } = error ?? {};
      return { state, nextTry, error: error && { kind, status, detail, advice } };
    });
  const reader = async () => server.makeKey(['reader'], ['default']);
  /** Waits until a page shows the newest revision. */
  const newest = async (p: Page, batch: string, n: number) => {
    await server.progress(batch, n);
    const s = await eventually('the change', 10_000, async () => {
      const s = await server.snapshot(batch);
      return s.tiers[0]?.progress?.processed_documents === n ? s : null;
    });
    await eventually(
      'the page on the newest',
      20_000,
      async () => (await shown(p)).revisions.at(-1) === s.view.revision,
    );
  };

  it('watches with a token function, and goes on with another token when its key is revoked', async () => {
    await server.begin('renewed');
    const first = await reader();
    const second = await reader();
    token = first.key;
    const page = await open(`${origin}/watching.html?api=${server.url}&batch=renewed`);
    await newest(page, 'renewed', 1);
    expect(await connection(page)).toMatchObject({ state: 'live', error: null });
    token = second.key;
    await server.revokeKey(first.id);
    await eventually('another token', 30_000, async () => (await shown(page)).asked.includes('credential_ended'));
    await newest(page, 'renewed', 2);
    const { revisions, states, errors } = await shown(page);
    expect(states).toEqual(['connecting', 'live']);
    expect(errors).toEqual([]);
    expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
  });

  it('is told by name that its key was revoked, and with a fixed one connects no more', async () => {
    await server.begin('ended');
    const { id, key } = await reader();
    const page = await open(`${origin}/watching.html?api=${server.url}&batch=ended&fixed=${key}`);
    await newest(page, 'ended', 1);
    await server.revokeKey(id);
    await eventually('the end', 30_000, async () => (await connection(page)).state === 'refused');
    const c = await connection(page);
    expect(c).toMatchObject({ nextTry: null, error: { kind: 'credential_ended', status: 401 } });
    expect(c.error?.detail).toContain('revoked');
    expect(c.error?.advice).toMatch(/key/);
  });

  it('is told by name what else is refused', async () => {
    const page = await open(`${origin}/watching.html?api=${server.url}&batch=none&fixed=hw_none`);
    const kind = (token: string, namespace = 'default') =>
      page.evaluate(
        ([token, namespace]) => {
          const url = new URLSearchParams(location.search).get('api');
          return new (globalThis as unknown as Loaded).Headway({ url, token, namespace })
            .diagnostics('none')
            .catch((e: { kind: string }) => e.kind);
        },
        [token, namespace] as const,
      );
    const { key } = await reader();
    const writer = await server.makeKey(['writer'], ['default']);
    expect(await kind('hw_unknown')).toBe('credential_invalid');
    expect(await kind(writer.key)).toBe('role_missing');
    expect(await kind(key)).toBe('not_found');
    expect(await kind(key, 'of-others')).toBe('not_found');
  });

  it('opens a bare EventSource with tickets, and goes on when its key is revoked', async () => {
    await server.begin('ticket');
    const first = await reader();
    const second = await reader();
    token = first.key;
    const page = await open(`${origin}/ticket.html?api=${server.url}&batch=ticket`);
    const has = (text: string) =>
      page.waitForFunction(t => document.querySelector('#state')?.textContent?.includes(t), text);
    await has(' 0 %');
    await server.progress('ticket', 250_000);
    await has(' 25 %');
    const tickets: string[] = [];
    page.on('request', r => {
      if (r.url().includes('ticket=')) tickets.push(r.url());
    });
    token = second.key;
    await server.revokeKey(first.id);
    await eventually('another ticket', 30_000, () => tickets.length === 1);
    expect(new URL(tickets[0] ?? '').searchParams.get('lastEventId')).toBeTruthy();
    await server.progress('ticket', 500_000);
    await has(' 50 %');
    // A ticket that was used opens nothing.
    const again = await fetch(tickets[0] ?? '');
    expect([again.status, ((await again.json()) as { error: { type: string } }).error.type]).toEqual([
      401,
      'ticket_invalid',
    ]);
    await server.finish('ticket');
    await has('COMPLETED');
  });

  it('that is not named can read nothing, is told so, and its EventSource is refused', async () => {
    await server.begin('secret');
    const { key } = await reader();
    token = key;
    const page = await open(`${foreign}/watching.html?api=${server.url}&batch=secret`);
    await eventually('the refusal', 20_000, async () => (await connection(page)).state === 'refused');
    expect(await connection(page)).toMatchObject({ error: { kind: 'cross_origin' } });
    expect((await shown(page)).revisions).toEqual([]);
    // Even with a ticket that somebody gave it.
    const made = await server.fetch('/v1/stream-tickets', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ path: '/v1/batches/stream' }),
    });
    const { ticket } = (await made.json()) as { ticket: string };
    const opened = await page.evaluate(
      url =>
        new Promise<string>(resolve => {
          const source = new EventSource(url);
          source.onopen = () => resolve('open');
          source.onerror = () => resolve(source.readyState === EventSource.CLOSED ? 'refused' : 'tries again');
        }),
      `${server.url}/v1/batches/stream?ticket=${ticket}`,
    );
    expect(opened).toBe('refused');
    const used = await fetch(`${server.url}/v1/batches/stream?ticket=${ticket}`);
    expect(used.status).toBe(200); // the refusal didn't even use it up
    await used.body?.cancel();
  });
});
