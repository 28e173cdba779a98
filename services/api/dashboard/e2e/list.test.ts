import { spawnSync } from 'node:child_process';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fits, launch, nodes, open, seen } from './browser';
import { drop, type Headway, healthy, listed, run, send, until } from './serve';
import { house, many, moving, unplaceable } from './workload';

let browser: Browser;
let h: Headway;

beforeAll(async () => {
  [browser, h] = await Promise.all([launch(), run()]);
});
afterAll(async () => {
  await browser?.close();
  if (h) await drop(h);
});

test('empty: says how to begin, and its command works as it stands', async () => {
  const { page, close } = await open(browser, `${h.url}/?namespace=fresh`);
  await page.waitForSelector('[data-empty]');
  await seen(page, 'empty');
  const command = await page.locator('[data-empty] pre').first().innerText();
  const sent = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  expect(sent.stdout, sent.stderr).toContain('"accepted":1');
  await page.waitForSelector('[data-id="my-first-batch"]'); // with nothing to lose one's place in, at once
  expect(await page.locator('[data-empty]').count()).toBe(0);
  await close();
});

describe('a house of batches', () => {
  beforeAll(async () => {
    await send(h.url, house(Date.now()), 'house');
    await listed(h.url, 12, 'house');
    await healthy(h.url, 'stuck', 2, 'house');
    await healthy(h.url, 'degraded', 2, 'house');
    await healthy(h.url, 'scaling', 1, 'house');
  });

  test('rows by need, each with its cause in words', async () => {
    const { page, close } = await open(browser, `${h.url}/?namespace=house`);
    await page.waitForSelector('[data-state="live"]');
    await page.waitForFunction(() => document.querySelectorAll('.row[data-health="stuck"]').length === 2);
    const rows = await page.locator('.row').evaluateAll(all => all.map(r => r.getAttribute('data-health')));
    const need = ['stuck', 'degraded', 'scaling', 'ok'];
    expect(rows).toEqual([...rows].sort((a, b) => need.indexOf(a ?? '') - need.indexOf(b ?? '')));
    const first = await page.locator('[data-id="images-0412"]').innerText();
    expect(first).toContain(
      'No node can take the job: raysubmit_images04121cl asks for more than any node has, needs 8',
    );
    expect(first).toContain('2 of 3');
    const code = (id: string) => page.locator(`[data-id="${id}"] .cause`).getAttribute('data-code');
    expect(await code('images-0412')).toBe('PLACEMENT:TOO_LARGE');
    expect(await code('contracts-0412')).toBe('PROGRAM:DOCUMENTS_FAILED');
    expect(await page.locator('[data-id="video-0412"] .eta').innerText()).toMatch(/\d\d:\d\d/);
    await seen(page, 'list');
    await close();
  });

  test('counters and search filter, and everything is in the address', async () => {
    const { page, close } = await open(browser, `${h.url}/?namespace=house`);
    await page.getByRole('button', { name: /Stuck/ }).click();
    await page.waitForFunction(() => document.querySelectorAll('.row').length === 2);
    expect(new URL(page.url()).searchParams.get('health')).toBe('stuck');
    await page.keyboard.press('/');
    await page.keyboard.type('tickets');
    await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
    const there = page.url();
    await page.goto(there);
    await page.waitForSelector('[data-id="tickets-0411"]');
    expect(await page.locator('.row').count()).toBe(1);
    expect(await page.getByRole('button', { name: /Stuck/ }).getAttribute('aria-pressed')).toBe('true');
    await page.getByRole('searchbox').fill('nothing like this');
    await page.getByText('No batch matches this filter.').waitFor();
    await seen(page, 'no-match', { picture: false });
    await page.getByRole('link', { name: 'Show all' }).click();
    await page.waitForFunction(() => document.querySelectorAll('.row').length === 12);
    await close();
  });

  test('finished batches by day, searched, with the keyboard', async () => {
    const day = await until('the history counts', async () => {
      const answer = await fetch(`${h.url}/v1/batches/history/days?namespace=house`);
      const { days } = (await answer.json()) as { days: { day: string; finished: number }[] };
      return days.find(d => d.finished > 0)?.day;
    });
    const { page, close } = await open(browser, `${h.url}/?namespace=house`);
    await page.getByText('Finished earlier').focus();
    await page.keyboard.press('Enter');
    await page.waitForSelector('[data-finished]');
    const shown = await page.locator('[data-finished]').count();
    expect(await page.locator(`[data-day="${day}"] .n`).innerText()).not.toBe('0');
    await seen(page, 'finished');
    await page.locator(`[data-day="${day}"] button`).press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('[data-day]').length === 1);
    await page.getByLabel('Search finished batches').fill('nothing like this');
    await page.keyboard.press('Enter');
    await page.getByText('No batch of these days matches.').waitFor();
    await page.getByLabel('Search finished batches').fill('');
    await page.keyboard.press('Enter');
    await page.waitForFunction(n => document.querySelectorAll('[data-finished]').length <= n, shown);
    const first = page.locator('[data-finished] a').first();
    await first.focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/batches\//);
    await close();
  });

  test('with the keyboard alone', async () => {
    const { page, close } = await open(browser, `${h.url}/?namespace=house`);
    await page.waitForSelector('.row[data-id]');
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('k');
    const at = await page.locator('.row').nth(1).getAttribute('data-id');
    await expect
      .poll(() => page.evaluate(() => document.activeElement?.closest('.row')?.getAttribute('data-id')))
      .toBe(at);
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle);
    expect(outline).not.toBe('none');
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/batches/${at}?namespace=house`);
    await page.waitForSelector('.verdict');
    await page.keyboard.press('b');
    await page.waitForURL('**/?namespace=house');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
    await seen(page, 'help', { picture: false });
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Keyboard' }).waitFor({ state: 'hidden' });
    await close();
  });

  test('what would move rows waits, values change in place', async () => {
    const { page, close } = await open(browser, `${h.url}/?namespace=house`);
    await page.waitForSelector('[data-state="live"]');
    await page.waitForFunction(() => document.querySelectorAll('.row').length === 12);
    const order = () => page.locator('.row').evaluateAll(all => all.map(r => r.getAttribute('data-id')));
    const before = await order();
    const now = Date.now();
    await send(
      h.url,
      [
        {
          batch: 'video-0412',
          type: 'tier',
          at: now,
          data: { tier_num: 1, processed_documents: 39_000, total_documents: 40_000 },
        },
        ...unplaceable('images-0413', now),
      ],
      'house',
    );
    await page.getByRole('button', { name: /1.update/ }).waitFor();
    await page.waitForFunction(() =>
      /6[0-9]/.test(document.querySelector('[data-id="video-0412"] .progress')?.textContent ?? ''),
    );
    expect(await order()).toEqual(before);
    await seen(page, 'updates-wait');
    // The new one is announced as stuck a moment after it came; until then its place is another.
    await expect
      .poll(async () => {
        await page.keyboard.press('u');
        return (await order())[0];
      })
      .toBe('images-0413');
    expect(await page.locator('.held').count()).toBe(0);
    await close();
  });

  test('readable at 400 pixels, and in high contrast', async () => {
    const { page, close } = await open(browser, `${h.url}/?namespace=house`, { width: 400, height: 800 });
    await page.waitForSelector('.row');
    await fits(page);
    await seen(page, 'list-narrow');
    await page.getByLabel('Theme').selectOption('contrast');
    expect(await page.evaluate(() => document.documentElement.dataset.contrast)).toBe('more');
    await seen(page, 'list-contrast', { picture: false });
    await page.reload();
    await page.waitForFunction(() => document.documentElement.dataset.contrast === 'more');
    await close();
  });

  test('local time or UTC; hover has the ISO form', async () => {
    const { page, close } = await open(browser, `${h.url}/batches/catalogue-0412?namespace=house`);
    const end = page.locator('.since time').first();
    await end.waitFor();
    const iso = (await end.getAttribute('title')) ?? '';
    expect(iso).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    const local = await end.innerText();
    await page.keyboard.press('t');
    await expect.poll(() => end.innerText()).toContain(iso.slice(11, 19));
    expect(local).not.toContain(iso.slice(11, 19)); // Berlin is never UTC
    await close();
  });
});

describe('10,000 batches', () => {
  beforeAll(async () => {
    await send(h.url, many(10_000, Date.now()), 'many');
    await listed(h.url, 10_000, 'many');
    await healthy(h.url, 'stuck', 104, 'many'); // every 97th
    await healthy(h.url, 'degraded', 162, 'many'); // every 61st, but those
  });

  test('stay few nodes, from the first row to the last', async () => {
    const { page, close } = await open(browser, `${h.url}/?namespace=many`);
    await page.waitForSelector('.row[data-id]');
    await page.getByText('10,000').first().waitFor();
    expect(await nodes(page)).toBeLessThanOrEqual(2000);
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await page.waitForSelector('[aria-rowindex="10001"][data-id]', { timeout: 60_000 });
    expect(await nodes(page)).toBeLessThanOrEqual(2000);
    await seen(page, 'list-10000');
    // One changes while the reader is at the end: nothing jumps.
    const top = await page.evaluate(() => scrollY);
    await send(h.url, moving('bulk-00003', Date.now(), 'Bulk 3'), 'many');
    await send(h.url, unplaceable('bulk-00004', Date.now()), 'many');
    await page.locator('.held').waitFor();
    expect(await page.evaluate(() => scrollY)).toBe(top);
    await close();
  });
});
