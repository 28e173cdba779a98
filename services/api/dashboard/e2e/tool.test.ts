// The list as a tool: one cause is one group, columns, orders, times, views, ticks; and how many are stuck.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fits, launch, open, seen } from './browser';
import { drop, type Headway, healthy, listed, run, send } from './serve';
import { house, lookedAt, many, moving, outOfMemory, unplaceable } from './workload';

let browser: Browser;
let h: Headway;
const ids = Array.from({ length: 59 }, (_, i) => `wait-${String(i + 1).padStart(2, '0')}`);

beforeAll(async () => {
  [browser, h] = await Promise.all([launch(), run()]);
  const now = Date.now();
  await send(h.url, [...ids.flatMap(id => unplaceable(id, now)), ...moving('video-0412', now)], 'crowd');
  await send(h.url, [...house(now), ...outOfMemory('failed-1', now)], 'house');
  await listed(h.url, 60, 'crowd');
  await healthy(h.url, 'stuck', 59, 'crowd');
  await healthy(h.url, 'stuck', 2, 'house');
});
afterAll(async () => {
  await browser?.close();
  if (h) await drop(h);
});

test('59 batches with one cause are one group, with what would fix it; and its batches a click away', async () => {
  const { page, close } = await open(browser, `${h.url}/?namespace=crowd`);
  await page.locator('[data-same-cause]').waitFor();
  expect(await page.locator('[data-same-cause]').innerText()).toMatch(
    /59.batches have the same cause: a job on ray-eu-1 asks for more than any node has, needs 8.GPUs/,
  );
  await seen(page, 'same-cause');
  await page.getByRole('link', { name: 'Show them as one' }).click();
  await page
    .locator('[data-open-group]')
    .getByRole('heading', { name: /59.batches/ })
    .waitFor();
  await page.locator('[data-open-group]').getByText('What to do').waitFor();
  expect(await page.locator('[data-open-group]').innerText()).toContain('PLACEMENT:TOO_LARGE');
  await page.waitForFunction(() => document.querySelector('[aria-rowcount]')?.getAttribute('aria-rowcount') === '60');
  await seen(page, 'group');
  await page.getByRole('link', { name: '← All groups' }).click();
  await page.locator('.groups li').first().waitFor();
  expect(await page.locator('.groups li').count()).toBe(1);
  expect(new URL(page.url()).searchParams.get('group')).toBe('cause');
  await seen(page, 'groups', { picture: false });
  await page.getByLabel('Group by').selectOption('pipeline');
  await page
    .getByRole('list', { name: 'Batches by pipeline' })
    .getByText(/\d+.batches/)
    .first()
    .waitFor();
  await close();
});

test('the tab says how many are stuck, in its title and icon', async () => {
  const { page, close } = await open(browser, `${h.url}/?namespace=crowd`);
  await page.waitForFunction(() => document.title.startsWith('(59 stuck) '));
  const icon = await page.locator('link[rel=icon]').getAttribute('href');
  expect(await (await fetch(new URL(icon ?? '', h.url))).text()).toContain('9+');
  await close();
});

test('a failed batch is red, with its cause; a completed one is at its last tier; nothing says a moment in UTC', async () => {
  const { page, close } = await open(browser, `${h.url}/?namespace=house`);
  const failed = page.locator('[data-id="failed-1"]');
  await failed.waitFor();
  const text = await failed.innerText();
  expect(await failed.getAttribute('class')).toContain('stuck');
  expect(text).toMatch(/failed \(/i);
  expect(text).not.toMatch(/Degraded/);
  expect(text.match(/\bFailed\b/g)?.length, text).toBe(1);
  expect(await page.locator('[data-id="catalogue-0412"] .tier').innerText()).toMatch(/(\d+) of \1/);
  const utc = /\d\d:\d\d:\d\dZ/;
  expect(await page.locator('main').innerText()).not.toMatch(utc);
  for (const id of ['failed-1', 'images-0412', 'catalogue-0412']) {
    await page.goto(`${h.url}/batches/${id}?namespace=house&tab=changes&evidence=open`);
    await page.waitForSelector('.verdict, [data-missing]');
    expect(await page.locator('main').innerText(), id).not.toMatch(utc);
  }
  await close();
});

test('columns, orders and times are in the address', async () => {
  const { page, close } = await open(browser, `${h.url}/?namespace=house`, { width: 1400 });
  await page.waitForSelector('.row[data-id]');
  await page.getByRole('button', { name: 'View', exact: true }).click();
  const view = page.getByRole('dialog', { name: 'View' });
  for (const name of ['Pipeline', 'Owner', 'Started', 'Took']) await view.getByLabel(name, { exact: true }).check();
  await view.getByLabel('Pace').uncheck();
  await seen(page, 'view', { picture: false });
  await page.keyboard.press('Escape');
  expect(new URL(page.url()).searchParams.get('columns')).toBe('tier,progress,eta,pipeline,owner,started,took,age');
  const first = () => page.locator('.row[data-id] .name a').first().innerText();
  await page.getByRole('columnheader', { name: 'Batch and cause' }).getByRole('button').click();
  await page.waitForURL(/sort=name/);
  const names = (): Promise<string[]> => page.locator('.row[data-id] .name a').allInnerTexts();
  await expect
    .poll(async () => [...(await names())].sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1)))
    .toEqual(await names());
  const least = await first();
  await page.getByRole('columnheader', { name: 'Batch and cause' }).getByRole('button').click();
  await page.waitForURL(/sort=-name/);
  await expect.poll(async () => (await names()).at(-1)).toBe(least);
  expect(await page.locator('[aria-sort="descending"]').innerText()).toContain('Batch and cause');
  await page.getByLabel('Created').selectOption('1h');
  await page.waitForURL(/since=1h/);
  await seen(page, 'columns');
  await page.reload();
  await page.waitForSelector('.row[data-id] .took');
  await close();
});

test('a view is saved under a name, in this browser', async () => {
  const { page, close } = await open(browser, `${h.url}/?namespace=house&health=stuck&sort=-took`);
  await page.waitForSelector('.row[data-id]');
  await page.getByRole('button', { name: 'View', exact: true }).click();
  await page.getByLabel('Name of what is shown now').fill('Long and stuck');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.goto(`${h.url}/?namespace=house`);
  await page.getByRole('button', { name: 'View', exact: true }).click();
  await page.getByRole('link', { name: 'Long and stuck' }).click();
  await page.waitForURL(/health=stuck&sort=-took/);
  await page.getByRole('button', { name: 'View', exact: true }).click();
  await page.getByRole('button', { name: 'Remove the view Long and stuck' }).click();
  await page.getByText('None is saved in this browser yet.').waitFor();
  await close();
});

test('compact: at least 18 rows on 800 pixels', async () => {
  await send(h.url, many(60, Date.now()), 'sixty');
  await listed(h.url, 60, 'sixty');
  const { page, close } = await open(browser, `${h.url}/?namespace=sixty`, { height: 800 });
  await page.waitForSelector('.row[data-id]');
  await page.keyboard.press('c');
  const whole = (): Promise<number> =>
    page
      .locator('.row[data-id]')
      .evaluateAll(all => all.filter(r => r.getBoundingClientRect().bottom <= innerHeight).length);
  await expect.poll(whole).toBeGreaterThanOrEqual(18);
  await seen(page, 'compact');
  await close();
});

test('ticked batches give their ids and commands', async () => {
  const { page, context, close } = await open(browser, `${h.url}/?namespace=crowd`);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.waitForSelector('.row[data-id]');
  await page.locator('[data-id="wait-01"]').getByRole('checkbox').check();
  await page.locator('[data-id="wait-02"] .name a').focus();
  await page.keyboard.press('x');
  await page.getByText(/2.batches selected/).waitFor();
  const copied = (): Promise<string> => page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole('button', { name: 'Copy the ids of the selected batches' }).click();
  await expect.poll(copied).toBe('wait-01\nwait-02');
  await page.getByRole('button', { name: 'Copy a command for each' }).click();
  await expect.poll(copied).toContain(`headway get wait-02 --url ${h.url} --namespace crowd`);
  await close();
});

test('namespaces are a click away, without access control too', async () => {
  const { page, close } = await open(browser, `${h.url}/?namespace=crowd`);
  await page.getByRole('button', { name: 'crowd' }).click();
  await page.getByRole('dialog', { name: 'Namespaces' }).getByRole('link', { name: 'house' }).click();
  await page.waitForSelector('[data-id="images-0412"]');
  await close();
});

test('at 400 pixels, and at 200 % zoom', async () => {
  for (const [width, name] of [
    [400, 'narrow'],
    [550, 'zoomed'], // 1100 pixels at 200 %
  ] as const) {
    const { page, close } = await open(browser, `${h.url}/?namespace=crowd&group=cause`, { width, height: 400 });
    await page.locator('.groups li').first().waitFor();
    await fits(page);
    await seen(page, `groups-${name}`, { picture: false });
    await close();
  }
});

test('log lines and stack stand at the job, with the way to Ray; the timeline says what it waited for', async () => {
  await send(h.url, lookedAt('looked-1', Date.now()), 'proofs');
  await healthy(h.url, 'stuck', 1, 'proofs');
  const { page, close } = await open(browser, `${h.url}/batches/looked-1?namespace=proofs`, { height: 1100 });
  const proofs = page.locator('.jobs [data-proofs]');
  await proofs.locator('summary').first().click();
  await proofs.getByText('waiting for worker 3').waitFor();
  expect(await proofs.innerText()).toContain('barrier (train.py:88)');
  expect(await proofs.getByRole('link', { name: /All of its logs in Ray/ }).getAttribute('href')).toContain(
    ':8265/#/jobs/',
  );
  const tier = await page.locator('.tiers li a').first().getAttribute('title');
  expect(tier).toMatch(/waited 5.min for quota/);
  expect(tier).toMatch(/for a node to start/);
  expect(await page.locator('.tiers .why.quota').count()).toBe(1);
  await seen(page, 'proof');
  await close();
});
