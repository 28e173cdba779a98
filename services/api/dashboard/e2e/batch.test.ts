import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fits, launch, nodes, open, seen } from './browser';
import { answered, drop, type Headway, run, send } from './serve';
import {
  completed,
  draft,
  moving,
  outOfMemory,
  partial,
  silent,
  starting,
  tall,
  unknown,
  unplaceable,
} from './workload';

let browser: Browser;
let h: Headway;

beforeAll(async () => {
  [browser, h] = await Promise.all([launch(), run()]);
  const now = Date.now();
  await send(h.url, [
    ...unplaceable('images-0412', now),
    ...moving('video-0412', now),
    ...silent('tickets-0411', now),
    ...starting('tiles-0412', now),
    ...partial('contracts-0412', now),
    ...outOfMemory('audio-0409', now),
    ...completed('catalogue-0412', now),
    ...draft('receipts-0412', now),
    ...unknown('unsorted-0412', now),
  ]);
  await answered(h.url, 'unsorted-0412', s => s.status === 'UNKNOWN');
});
afterAll(async () => {
  await browser?.close();
  if (h) await drop(h);
});

const at = (id: string, query = ''): string => `${h.url}/batches/${id}${query}`;

test('stuck: what is wrong, since when, what to do, and the tier that it is about', async () => {
  const { page, close } = await open(browser, at('images-0412'));
  await page.waitForSelector('.verdict.stuck');
  const says = await page.locator('#verdict').innerText();
  expect(says).toMatch(
    /^Stuck for 14.min: No node can take the job: raysubmit_\w+ asks for more than any node has, needs 8.GPUs, 64.GiB memory, offered 4.GPUs, 32.GiB memory\.$/,
  );
  expect(await page.locator('.verdict .icon.stuck').count()).toBeGreaterThan(0);
  const cause = page.locator('.verdict .cause-of');
  expect(await cause.getAttribute('data-code')).toBe('PLACEMENT:TOO_LARGE');
  const facts = (await cause.innerText()).replaceAll('\u202f', ' ');
  for (const part of ['known: a source says so', 'whoever wrote or submitted the job', "doesn't help"])
    expect(facts).toContain(part);
  expect(await page.locator('.jobs .cause-line').first().getAttribute('data-code')).toBe('PLACEMENT:TOO_LARGE');
  expect(await page.locator('.verdict').innerText()).not.toMatch(/\{"|\bnull\b|tier_num/);
  expect(await page.locator('.next ol li').first().innerText()).toContain('Add a node type that is large enough');
  expect(await page.locator('[data-tier]').getAttribute('data-tier')).toBe('1');
  const waits = await page.locator('.waits.infeasible').innerText();
  expect(waits).toContain('8\u202fGPUs, 64\u202fGiB memory');
  expect(waits).toContain('4\u202fGPUs, 32\u202fGiB memory');
  expect(
    await page
      .getByRole('link', { name: /in Ray/ })
      .first()
      .getAttribute('href'),
  ).toMatch(/^http:\/\/127\.0\.0\.1:8265\/#\/jobs\/raysubmit_/);
  await seen(page, 'stuck');
  await close();
});

test('the evidence in a drawer, with the derivation', async () => {
  const { page, close } = await open(browser, at('images-0412'));
  await page.waitForSelector('.verdict');
  await page.keyboard.press('e');
  const drawer = page.getByRole('dialog', { name: 'Evidence' });
  await drawer.getByText('How this was decided').waitFor();
  expect(new URL(page.url()).searchParams.get('evidence')).toBe('open');
  expect(await drawer.innerText()).toContain('no node type can offer it');
  expect(await drawer.locator('.steps > li').count()).toBeGreaterThan(2);
  await seen(page, 'evidence');
  await page.keyboard.press('Escape');
  await expect.poll(() => new URL(page.url()).searchParams.get('evidence')).toBeNull();
  await page.goto(at('images-0412', '?evidence=open'));
  await drawer.getByText('How this was decided').waitFor();
  await close();
});

test('copy buttons copy what they say', async () => {
  const { page, context, close } = await open(browser, at('images-0412'));
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.waitForSelector('.verdict');
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole('button', { name: 'Copy the curl command for this batch' }).click();
  await expect.poll(copied).toBe(`curl -s ${h.url}/v1/analytics/performance/batches/images-0412/diagnostics`);
  await page.getByRole('button', { name: 'Copy the batch id' }).click();
  await expect.poll(copied).toBe('images-0412');
  await page.getByRole('button', { name: /^Copy the command: Stop/ }).click();
  await expect.poll(copied).toMatch(/^ray job stop raysubmit_/);
  await close();
});

test.each([
  ['video-0412', 'ok', /^OK: Tier.2 is making progress, /],
  [
    'tickets-0411',
    'stuck',
    /^Stuck for 41.min: No progress: nothing was heard of tier 2 of 2 since [\d:]+( on [\w ]+)?(, and it made no progress since [\d:]+( on [\w ]+)?)?\.$/,
  ],
  [
    'tiles-0412',
    'scaling',
    /^Scaling for 3.min( \d+.s)?: The cluster is starting: raysubmit_\w+ waits for a node that is being launched, needs 1.GPU\.$/,
  ],
  ['contracts-0412', 'degraded', /^Degraded: 37.documents failed\. The batch continues\.$/],
  [
    'audio-0409',
    'stuck',
    /^Failed 19.min ago: Tier.2 failed: Worker killed: out of memory \(OOM\), 31\.8 GB of 32 GB used \(infrastructure\)\.$/,
  ],
  ['catalogue-0412', 'ok', /^Completed 12.min ago: 12,000.documents in 2.tiers, in 3\d.min\.$/],
  ['receipts-0412', 'pending', /^Draft for 8.min( \d+.s)?: It hasn't been submitted\.$/],
])('%s is one sentence', async (id, mark, says) => {
  const { page, close } = await open(browser, at(id));
  await page.waitForSelector(`.verdict.${mark}`);
  expect(await page.locator('#verdict').innerText()).toMatch(says);
  await seen(page, id.split('-')[0] ?? id);
  await close();
});

test('a doubt stands beside the figures that it bears on', async () => {
  const at0 = Date.now() - 20 * 60_000;
  const count = (n: number, minute: number) => ({
    batch: 'recount-0412',
    type: 'tier' as const,
    at: at0 + minute * 60_000,
    data: { tier_num: 0, status: 'PROCESSING', processed_documents: n, total_documents: 1000 },
  });
  await send(h.url, [
    { batch: 'recount-0412', type: 'batch', at: at0, data: { status: 'PROCESSING', total_tiers: 1, name: 'Recount' } },
    ...[100, 300, 500, 20, 40].map((n, i) => count(n, 4 * i + 1)),
  ]);
  const { page, close } = await open(browser, at('recount-0412'));
  await page.waitForSelector('.doubts [data-code="REPORTING:COUNT_WENT_BACK"]');
  expect(await page.locator('[data-doubtful="progress"]').innerText()).toBe('in doubt');
  expect(await page.locator('[data-doubtful="times"]').count()).toBe(0);
  await seen(page, 'doubt');
  await close();
});

test('finished: said so, and no stream is left', async () => {
  const { page, close } = await open(browser, at('catalogue-0412', '?tab=performance'));
  await page.waitForSelector('[data-state="ended"]');
  expect(await page.locator('.connection').innerText()).toBe('Finished');
  expect(await page.locator('.performance').innerText()).toContain('waiting for Ray');
  await seen(page, 'finished');
  await close();
});

test('no data yet', async () => {
  const { page, close } = await open(browser, at('unsorted-0412'));
  await page.waitForSelector('[data-nodata]');
  expect(await page.locator('#verdict').innerText()).toBe('Unknown: No data yet: no event has told its status.');
  await seen(page, 'no-data');
  await close();
});

test('nobody has heard of it: the page says that it waits, and shows it once it begins', async () => {
  const { page, close } = await open(browser, at('later-0412'));
  await page.waitForSelector('[data-missing]');
  expect(await page.locator('main h1').innerText()).toBe('Nothing heard of this batch yet');
  expect(await page.locator('.connection').getAttribute('data-state')).toBe('waiting');
  await send(h.url, moving('later-0412', Date.now(), 'Late'));
  await page.waitForSelector('.verdict.ok', { timeout: 10_000 });
  expect(await page.locator('.connection').getAttribute('data-state')).toBe('live');
  await close({ network: true });
  const never = await open(browser, at('never-0412'));
  await never.page.waitForSelector('[data-missing]');
  await seen(never.page, 'not-found');
  await never.close({ network: true });
});

test('a change of health is said aloud, a change of progress is not', async () => {
  const { page, close } = await open(browser, at('tiles-0412'));
  await page.waitForSelector('.verdict.scaling');
  const said = page.locator('[aria-live]');
  expect(await said.count()).toBe(1);
  expect(await said.innerText()).toBe('');
  const points: string[] = [];
  await page.exposeFunction('heard', (text: string) => points.push(text));
  await page.evaluate(
    'new MutationObserver(() => heard(document.querySelector("[aria-live]").textContent)).observe(document.querySelector("[aria-live]"), {childList: true, characterData: true, subtree: true})',
  );
  const job = 'raysubmit_tiles04120se';
  await send(h.url, [
    {
      batch: 'tiles-0412',
      type: 'job',
      data: {
        tier_num: 0,
        submission_id: job,
        status: 'RUNNING',
        started_at: new Date(Date.now() - 5000).toISOString(),
      },
    },
  ]);
  await page.getByText('The job is warming up').first().waitFor();
  await send(h.url, [
    {
      batch: 'tiles-0412',
      type: 'tier',
      data: { tier_num: 0, status: 'PROCESSING', processed_documents: 90, total_documents: 900 },
    },
  ]);
  await page.waitForSelector('.verdict.ok');
  await send(h.url, [
    { batch: 'tiles-0412', type: 'tier', data: { tier_num: 0, processed_documents: 180, total_documents: 900 } },
  ]);
  await page.getByText('180 of 900 documents').waitFor();
  expect(points.filter(Boolean).map(p => p.split('.')[0])).toEqual(['Maps tiles: OK']);
  await close();
});

test('tabs and the opened tier are in the address, and work by keyboard', async () => {
  const { page, close } = await open(browser, at('catalogue-0412'));
  await page.waitForSelector('.verdict');
  await page.getByRole('tab', { name: /Insights/ }).focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await expect.poll(() => new URL(page.url()).searchParams.get('tab')).toBe('performance');
  await page.getByRole('link', { name: /^Tier 1/ }).click();
  await page.waitForSelector('[data-tier="0"]');
  await page.reload();
  await page.waitForSelector('[data-tier="0"]');
  expect(await page.getByRole('tab', { selected: true }).innerText()).toContain('Performance');
  await page.goBack();
  await page.waitForSelector('[data-tier="1"]');
  for (const tab of ['Collections', 'Errors', 'Changes']) {
    await page.getByRole('tab', { name: new RegExp(tab) }).click();
    await seen(page, `tab-${tab}`, { picture: false });
  }
  await close();
});

test('readable at 400 pixels; still where motion isn’t wanted', async () => {
  const { page, close } = await open(browser, at('images-0412'), { width: 400, height: 860 });
  await page.waitForSelector('.verdict');
  await fits(page);
  await seen(page, 'stuck-narrow');
  await page.emulateMedia({ reducedMotion: 'reduce' });
  expect(await page.evaluate(() => document.getAnimations().length)).toBe(0);
  await page.getByLabel('Theme').selectOption('contrast');
  await seen(page, 'stuck-contrast', { picture: false });
  await close();
});

describe('10,000 tiers', () => {
  beforeAll(async () => {
    await send(h.url, tall('tall', 10_000, Date.now()));
    await answered(h.url, 'tall', s => s.page?.tiers.total === 10_000);
  });

  test('stay few nodes, and the page answers', async () => {
    const { page, close } = await open(browser, at('tall'));
    await page.waitForSelector('.verdict', { timeout: 60_000 });
    await page.waitForSelector('.tiers li');
    expect(await nodes(page)).toBeLessThanOrEqual(2000);
    await page.keyboard.press('j');
    await page.waitForFunction(() => Number(document.querySelector('[data-tier]')?.getAttribute('data-tier')) > 0);
    await page.locator('.tiers.scrolls').evaluate(e => e.scrollTo(0, e.scrollHeight));
    await page.getByRole('link', { name: /^Tier 10000/ }).waitFor();
    expect(await nodes(page)).toBeLessThanOrEqual(2000);
    await send(h.url, [
      { batch: 'tall', type: 'tier', data: { tier_num: 6001, processed_documents: 77, total_documents: 100 } },
    ]);
    await page.goto(at('tall', '?tier=6001'));
    await page.getByText('77 of 100 documents').waitFor({ timeout: 60_000 });
    await seen(page, 'tiers-10000');
    await close();
  });
});

test('a past moment: in the address, by keyboard, and back to now', async () => {
  const begun = Date.now() - 60_000;
  await send(h.url, [
    {
      batch: 'scrubbed',
      type: 'batch',
      data: { status: 'PROCESSING', total_tiers: 1, started_at: new Date(begun).toISOString() },
      at: begun,
    },
    {
      batch: 'scrubbed',
      type: 'tier',
      data: { tier_num: 0, status: 'PROCESSING', processed_documents: 3, total_documents: 9 },
    },
  ]);
  let then = '';
  await answered(h.url, 'scrubbed', s => {
    then = s.view.as_of;
    return s.tiers[0]?.progress.processed_documents === 3;
  });
  await send(h.url, [
    { batch: 'scrubbed', type: 'tier', data: { tier_num: 0, status: 'COMPLETED', processed_documents: 9 } },
    { batch: 'scrubbed', type: 'batch', data: { status: 'COMPLETED' } },
  ]);
  await answered(h.url, 'scrubbed', s => s.status === 'COMPLETED');
  const { page, close } = await open(browser, at('scrubbed', `?at=${encodeURIComponent(then)}`));
  await page.waitForSelector('[data-past="shown"]');
  expect(await page.locator('[data-past]').innerText()).toMatch(
    /^As it was at .*, by today’s thresholds\. Back to now$/,
  );
  await page.getByText('3 of 9 documents').first().waitFor();
  await seen(page, 'past', { picture: false });
  const bar = page.getByRole('slider', { name: /Show it as it was/ });
  await bar.focus();
  await page.keyboard.press('End');
  await page.waitForFunction(() => !document.querySelector('[data-past]'));
  expect(new URL(page.url()).searchParams.get('at')).toBe(null);
  expect(await bar.getAttribute('aria-valuetext')).toBe('now');
  await page.keyboard.press('Home');
  await page.waitForSelector('[data-past="error"]');
  expect(await page.locator('[data-past]').innerText()).toContain('its first event was stored at');
  await seen(page, 'past-before', { picture: false });
  await page.getByRole('link', { name: 'Back to now' }).click();
  await page.waitForFunction(() => !document.querySelector('[data-past]'));
  await close({ network: true });
});
