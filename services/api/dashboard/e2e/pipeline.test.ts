// A pipeline's page: its runs from Redis and from the history, tier by tier, and two of them side by side.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fits, launch, open, seen } from './browser';
import { Gateway } from './gateway';
import { drop, type Headway, makeKey, run, send, until } from './serve';
import { nights, short, wideRun } from './workload';

let browser: Browser;
let h: Headway;
const path = '/pipelines/nightly%2Fmedia';

beforeAll(async () => {
  // Ended runs leave Redis at once: the page has them from the history.
  [browser, h] = await Promise.all([launch(), run(['--redis-keep', '1s'])]);
  await send(h.url, [...nights(Date.now()), ...wideRun('wide-1', Date.now())]);
  await until('eleven runs are in the history only', async () => {
    const there = async (route: string) =>
      ((await (await fetch(`${h.url}${route}`)).json()) as { batches: unknown[] }).batches.length;
    return (await there('/v1/batches?pipeline=nightly%2Fmedia')) === 1 && (await runs()) === 12;
  });
});
afterAll(async () => {
  await browser?.close();
  if (h) await drop(h);
});

const runs = async (): Promise<number> => {
  const answer = await fetch(`${h.url}/v1/pipelines/nightly%2Fmedia/runs`);
  return ((await answer.json()) as { runs: unknown[] }).runs.length;
};

test('runs by tier: how each ended, how long it took, what it waited for; and what is unusual', async () => {
  const { page, close } = await open(browser, `${h.url}${path}`, { height: 720 });
  await page.waitForSelector('.matrix');
  expect(await page.locator('thead [data-run]').evaluateAll(all => all.map(r => r.getAttribute('data-run')))).toEqual(
    Array.from({ length: 12 }, (_, i) => `night-${String(i + 1).padStart(2, '0')}`),
  );
  const cell = (row: number, night: number) => page.locator(`[data-at="${row} ${night - 1}"]`);
  expect(await cell(2, 10).getAttribute('data-outcome')).toBe('Failed');
  expect(await cell(4, 10).getAttribute('title')).toMatch(/^Failed · .* · waited .* for a node to start · .*memory/);
  expect(await cell(4, 8).innerText()).toMatch(/31.min for a node to start/);
  expect(await cell(4, 12).getAttribute('title')).toMatch(/waited .* for quota/);
  expect(await cell(2, 7).innerText()).toMatch(/^Completed\s*\d+.min/);
  expect(await cell(5, 10).count()).toBe(0);
  expect(await page.locator('[data-trend="Failures"]').innerText()).toMatch(
    /1 of 11.runs failed; 312.documents failed/,
  );
  expect(await page.locator('[data-trend="Duration"]').innerText()).toMatch(/median \d+.min; the last \d+.min/);
  expect(await page.locator('[data-searched]').innerText()).toMatch(/12.runs. There are no earlier ones/);
  const left = async (at: string): Promise<number> => (await page.locator(`[data-at="${at}"]`).boundingBox())?.x ?? 0;
  expect([await left('2 10'), await left('4 10')]).toEqual([await left('3 10'), await left('3 10')]); // one below the other
  await seen(page, 'pipeline');
  await close();
});

test('two runs side by side, chosen with the keyboard alone; the address keeps them', async () => {
  const { page, close } = await open(browser, `${h.url}${path}`, { height: 1320 });
  await page.waitForSelector('.matrix');
  const here = (): Promise<string | null> =>
    page.evaluate(() => document.activeElement?.getAttribute('data-at') ?? null);
  await page.getByRole('link', { name: 'Its batches in the list' }).focus();
  await page.keyboard.press('Tab'); // one stop for the whole table
  expect(await here()).toBe('2 11');
  for (let i = 0; i < 4; i++) await page.keyboard.press('ArrowLeft');
  expect(await here()).toBe('2 7');
  await page.keyboard.press('Space');
  await page.getByText('is chosen: Night 8').waitFor();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowUp');
  expect(await here()).toBe('1 6');
  await page.keyboard.press('Space'); // on the box itself
  await page.waitForSelector('[data-compared="shown"]');
  expect(new URL(page.url()).search).toBe('?compare=night-08,night-07');
  const what = await page.locator('[data-differs="true"] th').allInnerTexts();
  expect(what.slice(0, 3)).toEqual(['Label commit', 'Tier 2: parameter batch_size', 'Tier 2: asked for']);
  expect(what).toContain('Tier 2: waited for a node to start');
  const waited = page.locator('[data-differs="true"]', { hasText: 'waited for a node to start' });
  expect(await waited.innerText()).toMatch(/times as much/);
  expect(await page.locator('[data-differs="false"] th').first().isVisible()).toBe(false);
  await seen(page, 'compare');
  await page.reload();
  await page.waitForSelector('[data-compared="shown"]');
  expect(await page.locator('[data-differs="true"] th').allInnerTexts()).toEqual(what);
  await page.locator('[data-at="4 7"]').focus();
  await page.keyboard.press('Home');
  expect(await here()).toBe('4 0');
  await page.keyboard.press('End');
  expect(await here()).toBe('4 11');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/batches/night-12?tier=1');
  await page.goBack();
  await page.waitForSelector('[data-compared="shown"]');
  await close();
});

test('a batch, a row and a group lead to it', async () => {
  const { page, close } = await open(browser, `${h.url}/batches/night-03`);
  await page.locator('.under').getByRole('link', { name: 'nightly/media' }).click();
  await page.waitForURL(`**${path}`);
  await page.waitForSelector('.matrix');
  await page.goto(`${h.url}/?columns=tier,pipeline`);
  await page.locator('[data-id="night-12"] .text').getByRole('link', { name: 'nightly/media' }).click();
  await page.waitForURL(`**${path}`);
  await page.goto(`${h.url}/?group=pipeline`);
  await page.locator('[data-group="nightly/media"]').getByRole('link', { name: 'All runs' }).click();
  await page.waitForURL(`**${path}`);
  await page.keyboard.press('b');
  await page.waitForURL(`${h.url}/`);
  await close();
});

test('earlier runs are added before those that are shown, and one stays where one is', async () => {
  await send(h.url, short(40, Date.now()));
  await until('40 runs', async () => {
    const answer = await fetch(`${h.url}/v1/pipelines/short/runs?limit=100`);
    return ((await answer.json()) as { runs: unknown[] }).runs.length === 40;
  });
  const { page, close } = await open(browser, `${h.url}/pipelines/short`);
  await page.waitForSelector('.matrix');
  const shown = (): Promise<(string | null)[]> =>
    page.locator('thead [data-run]').evaluateAll(all => all.map(r => r.getAttribute('data-run')));
  const ids = Array.from({ length: 40 }, (_, i) => `short-${String(40 - i).padStart(2, '0')}`);
  expect(await shown()).toEqual(ids.slice(10));
  await page.locator('[data-at="2 4"]').focus();
  await page.getByRole('button', { name: 'Earlier runs' }).click();
  await page.waitForFunction(() => document.querySelectorAll('thead [data-run]').length === 40);
  expect(await shown()).toEqual(ids);
  expect(await page.locator('[data-at][tabindex="0"]').getAttribute('data-at')).toBe('2 14');
  expect(await page.locator('[data-searched]').innerText()).toContain('There are no earlier ones');
  expect(await page.getByRole('button', { name: 'Earlier runs' }).count()).toBe(0);
  await close();
});

test('at 400 pixels and at 200 % zoom nothing is wider than the page', async () => {
  for (const [width, name] of [
    [400, 'narrow'],
    [550, 'zoomed'],
  ] as const) {
    const { page, close } = await open(browser, `${h.url}${path}?compare=night-08,night-10`, { width, height: 500 });
    await page.waitForSelector('[data-compared="shown"]');
    await fits(page);
    await seen(page, `pipeline-${name}`, { picture: false });
    await close();
  }
});

test('a run of many tiers, none at all, a server that fails and comes back: each is said', async () => {
  const { page, close } = await open(browser, `${h.url}/pipelines/wide`);
  await page.getByRole('button', { name: /All 60 tiers/ }).click();
  await page.getByRole('rowheader', { name: 'Tier 60' }).waitFor();
  await page.goto(`${h.url}/pipelines/nobody`);
  await page.getByRole('heading', { name: 'No run of this pipeline is known' }).waitFor();
  await seen(page, 'pipeline-empty', { picture: false });
  await close();

  const proxy = await new Gateway(h.url).start();
  proxy.rule = { status: 503, message: 'Redis is away.' };
  const away = await open(browser, `${proxy.url}${path}`);
  await away.page.getByText('Redis is away.').waitFor();
  await seen(away.page, 'pipeline-unavailable', { picture: false });
  proxy.pass();
  await away.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange'))); // as on coming back to the tab
  await away.page.waitForSelector('.matrix');
  expect(await away.page.getByText('Redis is away.').count()).toBe(0);
  await away.close({ network: true });
  await proxy.stop();
});

test('who may not look into the namespace is told that it isn’t there', async () => {
  const keyed = await run(['--access', 'keys']);
  const { key } = await makeKey(keyed, ['reader'], ['team-a']);
  const { page, close } = await open(browser, `${keyed.url}/pipelines/media?namespace=team-b`);
  await page.getByLabel('API key').fill(key);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'No such namespace' }).waitFor();
  await close({ network: true });
  await drop(keyed);
});
