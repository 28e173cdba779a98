// The states that others forget, each brought about for real.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launch, open, seen } from './browser';
import { Gateway } from './gateway';
import { answered, Child, drop, freePort, type Headway, healthy, program, run, send, until } from './serve';
import { house, moving, unplaceable } from './workload';

let browser: Browser;
let h: Headway;

beforeAll(async () => {
  [browser, h] = await Promise.all([launch(), run()]);
  await send(h.url, house(Date.now()));
  await healthy(h.url, 'stuck', 2, 'default');
});
afterAll(async () => {
  await browser?.close();
  if (h) await drop(h);
});

describe('behind a gateway', () => {
  let proxy: Gateway;
  beforeAll(async () => {
    proxy = await new Gateway(h.url).start();
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  test('connecting, then live', async () => {
    proxy.rule = 'hold';
    const { page, close } = await open(browser, `${proxy.url}/batches/video-0412`);
    await page.waitForSelector('[data-state="connecting"]');
    await page.waitForSelector('[data-waiting]');
    await seen(page, 'connecting');
    proxy.pass();
    await page.waitForSelector('[data-state="live"]');
    await page.waitForSelector('.verdict.ok');
    await close();
  });

  test('a gateway that asks for credentials of its own: said in its words, and there is nothing to type', async () => {
    proxy.rule = { status: 401, message: 'Sign in to the gateway.' };
    const { page, close } = await open(browser, `${proxy.url}/`);
    await page.waitForSelector('[data-refused]');
    expect(await page.locator('.connection').innerText()).toContain('Refused');
    expect(await page.locator('[data-refused]').innerText()).toContain('Sign in to the gateway.');
    expect(await page.locator('main input').count()).toBe(0);
    await seen(page, 'refused');
    proxy.pass();
    await page.getByRole('button', { name: 'Load the page anew' }).click();
    await page.waitForSelector('[data-id="images-0412"]');
    await page.waitForSelector('[data-state="live"]');
    await close({ network: true });
  });

  test('forbidden and not there look alike', async () => {
    const page = async (path: string): Promise<string> => {
      const w = await open(browser, `${proxy.url}${path}`);
      await w.page.waitForSelector('[data-missing]');
      const text = await w.page.locator('main').innerText();
      const state = await w.page.locator('.connection').getAttribute('data-state');
      await w.close({ network: true });
      return `${state} ${text.replaceAll(/secret|nothing/g, 'ID')}`;
    };
    proxy.pass();
    const missing = await page('/batches/nothing');
    proxy.rule = { status: 403, message: 'Not yours.' };
    const forbidden = await page('/batches/secret');
    proxy.pass();
    expect(forbidden).toBe(missing);
  });

  test('never more than two streams, wherever one goes', async () => {
    proxy.pass();
    proxy.most = 0;
    const { page, close } = await open(browser, `${proxy.url}/`);
    await page.waitForSelector('[data-state="live"]');
    for (const id of ['images-0412', 'video-0412', 'tickets-0411']) {
      await page.locator(`[data-id="${id}"] a`).click();
      await page.waitForSelector('.verdict');
      await page.waitForSelector('[data-state="live"]');
      await page.getByRole('link', { name: '← Batches' }).click();
      await page.waitForSelector(`[data-id="${id}"]`);
      await page.waitForSelector('[data-state="live"]');
    }
    expect(proxy.most).toBeGreaterThan(0);
    expect(proxy.most).toBeLessThanOrEqual(2);
    await close();
  });
});

test('disconnected: what was seen stays, clocks stand still, the next try is shown; and it comes back by itself', async () => {
  const port = await freePort();
  const own = await run([], undefined, port);
  await send(own.url, [...moving('video-0412', Date.now()), ...unplaceable('images-0412', Date.now())]);
  await answered(own.url, 'images-0412', s => s.health === 'stuck');
  const batch = await open(browser, `${own.url}/batches/images-0412`);
  const list = await open(browser, `${own.url}/`);
  await batch.page.waitForSelector('[data-state="live"]');
  await list.page.waitForSelector('[data-state="live"]');
  await list.page.waitForSelector('[data-id="video-0412"]');
  await own.child.stop();
  for (const { page } of [batch, list]) {
    await page.waitForSelector('[data-state="disconnected"]');
    await page.getByText('No connection to Headway').waitFor();
    await page.waitForFunction(() =>
      /next try in \d+.s|trying now/i.test(document.querySelector('.connection')?.textContent ?? ''),
    );
  }
  const clock = (): Promise<string> => batch.page.locator('#verdict').innerText();
  const before = await clock();
  const tick = await batch.page.locator('.connection').innerText();
  await expect.poll(() => batch.page.locator('.connection').innerText(), { timeout: 10_000 }).not.toBe(tick); // this clock runs
  expect(await clock()).toBe(before);
  expect(await list.page.locator('[data-id="video-0412"]').count()).toBe(1);
  await seen(batch.page, 'disconnected');
  await seen(list.page, 'list-disconnected', { picture: false });
  const again = await run([], own.data, port);
  for (const { page } of [batch, list]) await page.waitForSelector('[data-state="live"]', { timeout: 60_000 });
  await send(again.url, [
    { batch: 'video-0412', type: 'tier', data: { tier_num: 1, processed_documents: 33_000, total_documents: 40_000 } },
  ]);
  await list.page.waitForFunction(() =>
    /6\d/.test(document.querySelector('[data-id="video-0412"] .progress')?.textContent ?? ''),
  );
  await batch.close({ network: true });
  await list.close({ network: true });
  await drop(again);
});

describe('with the parts apart', () => {
  let dir: string;
  let redisPort: number;
  let redis: Child;
  let ingest: Child;
  let api: Child;
  let url: string;
  const flush = (): Promise<number | null> => new Child('redis-cli', ['-p', String(redisPort), 'flushall']).ended;

  // Views of their own, in a Redis of their own, of the log that `headway run` keeps.
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'headway-dashboard-'));
    redisPort = await freePort();
    redis = new Child('redis-server', ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--dir', dir]);
    await until(
      'Redis answers',
      async () => (await new Child('redis-cli', ['-p', String(redisPort), 'ping']).ended) === 0,
    );
    const both = ['--nats-url', h.nats, '--redis-url', `redis://127.0.0.1:${redisPort}/0`, '--policy', h.policy];
    const apiPort = await freePort();
    ingest = program('ingest', both);
    api = program('api', [...both, '--listen', `127.0.0.1:${apiPort}`]);
    url = `http://127.0.0.1:${apiPort}`;
    await until('the api is ready', async () => (await fetch(`${url}/readyz`)).ok);
    await answered(url, 'images-0412', s => s.health === 'stuck');
  });
  afterAll(async () => {
    for (const c of [api, ingest, redis]) await c?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  test('behind: said with the moment that is shown, and over when the worker goes on', async () => {
    const batch = await open(browser, `${url}/batches/video-0412`);
    const list = await open(browser, `${url}/`);
    for (const { page } of [batch, list]) await page.waitForSelector('[data-state="live"]');
    await batch.page.waitForSelector('.verdict');
    ingest.signal('SIGSTOP');
    for (const { page } of [batch, list]) {
      await page.waitForSelector('[data-state="behind"]', { timeout: 60_000 });
      expect(await page.locator('.connection').innerText()).toMatch(/^Behind\s*as of\s*\d\d:\d\d:\d\d$/);
      await page.getByText('Headway itself is behind').waitFor();
    }
    await seen(batch.page, 'behind');
    await seen(list.page, 'list-behind', { picture: false });
    ingest.signal('SIGCONT');
    for (const { page } of [batch, list]) await page.waitForSelector('[data-state="live"]', { timeout: 60_000 });
    await batch.close();
    await list.close();
  });

  test('Redis is flushed: what is shown stays; what is asked meanwhile is said to be in the making; then all is there again', async () => {
    const batch = await open(browser, `${url}/batches/images-0412`);
    await batch.page.waitForSelector('.verdict.stuck');
    ingest.signal('SIGSTOP');
    await flush();
    const meanwhile = await open(browser, `${url}/batches/catalogue-0411`);
    await meanwhile.page.waitForSelector('[data-rebuilding]', { timeout: 60_000 });
    await seen(meanwhile.page, 'rebuilding');
    const list = await open(browser, `${url}/?namespace=another`);
    await list.page.waitForSelector('[data-incomplete]');
    await seen(list.page, 'list-incomplete', { picture: false });
    expect(await batch.page.locator('.verdict.stuck').count()).toBe(1);
    ingest.signal('SIGCONT');
    await meanwhile.page.waitForSelector('.verdict.ok', { timeout: 60_000 });
    await list.page.waitForSelector('[data-incomplete]', { state: 'detached', timeout: 60_000 });
    await batch.page.waitForSelector('[data-state="live"]', { timeout: 60_000 });
    expect(await batch.page.locator('.verdict.stuck').count()).toBe(1);
    for (const w of [batch, meanwhile, list]) await w.close({ network: true });
  });

  test('incomplete: events were lost before they were read', async () => {
    ingest.signal('SIGSTOP');
    await flush();
    const nats = await connect({ servers: h.nats });
    const answer = await nats.request('$JS.API.STREAM.PURGE.HEADWAY_EVENTS', JSON.stringify({ keep: 40 }), {
      timeout: 10_000,
    });
    expect(answer.json<{ success?: boolean }>().success).toBe(true);
    await send(h.url, moving('video-0412', Date.now()));
    await nats.close();
    ingest.signal('SIGCONT');
    const { page, close } = await open(browser, `${url}/batches/video-0412`);
    await page.waitForSelector('.batch [data-incomplete]', { timeout: 60_000 });
    await seen(page, 'incomplete');
    await close({ network: true });
  });
});
