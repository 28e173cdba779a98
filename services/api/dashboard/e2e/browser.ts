// A page as a person has it, watched: what it logs, what it asks for, and whether everybody can use it.
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';

const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const shots = process.env.HEADWAY_SCREENSHOTS;

export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });

export interface Watched {
  page: Page;
  context: BrowserContext;
  /** Ends the page, and fails where it logged an error or asked another host. `network`: its server was meant to fail. */
  close(o?: { network?: boolean }): Promise<void>;
}

/** Opens a page. `abroad` is the origin that it may go to beside its own. */
export async function open(
  browser: Browser,
  url: string,
  o: { width?: number; height?: number; hidden?: boolean; abroad?: string } = {},
): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width: o.width ?? 1100, height: o.height ?? 690 },
    colorScheme: 'light',
    timezoneId: 'Europe/Berlin',
    locale: 'en-GB',
  });
  const page = await context.newPage();
  const logged: string[] = [];
  const abroad: string[] = [];
  page.on('console', m => {
    if (m.type() === 'error' || m.type() === 'warning') logged.push(m.text());
  });
  page.on('pageerror', e => logged.push(`uncaught: ${e.message}`));
  page.on('request', r => {
    if (new URL(r.url()).hostname !== '127.0.0.1' && new URL(r.url()).origin !== o.abroad) abroad.push(r.url());
  });
  await page.goto(url);
  return {
    page,
    context,
    async close({ network = false } = {}) {
      await context.close();
      // The browser itself logs each answer that is an error, and each refused connection.
      const own = network ? logged.filter(l => !/^Failed to load resource/.test(l)) : logged;
      expect(own, 'the page logged').toEqual([]);
      expect(abroad, 'the page asked other hosts').toEqual([]);
    },
  };
}

interface Violation {
  id: string;
  help: string;
  nodes: { html: string; failureSummary?: string }[];
}

/** Holds what is on screen against axe, in light and dark; and keeps a picture of it under `name` where pictures are wanted. */
export async function seen(page: Page, name: string, o: { picture?: boolean; scheme?: boolean } = {}): Promise<void> {
  await settled(page);
  // A page without schemes of its own, and with thousands of nodes, is held against axe once.
  for (const scheme of o.scheme === false ? (['light'] as const) : (['dark', 'light'] as const)) {
    await page.emulateMedia({ colorScheme: scheme });
    if (o.scheme !== false) await page.waitForFunction(s => document.documentElement.dataset.scheme === s, scheme);
    await settled(page);
    if (shots && o.picture !== false) {
      await mkdir(shots, { recursive: true });
      if (scheme === 'light' || name === 'list')
        await page.screenshot({ path: join(shots, `${name}${scheme === 'dark' ? '-dark' : ''}.png`) });
    }
    const found = await audit(page);
    expect(
      found.map(
        v =>
          `${v.id}: ${v.help}: ${v.nodes
            .map(n => `${n.html.slice(0, 160)} ${n.failureSummary ?? ''}`)
            .slice(0, 3)
            .join(' | ')}`,
      ),
      `${name} in ${scheme}`,
    ).toEqual([]);
  }
}

/** Transitions change colours for a moment; axe would see that moment. */
const settled = (page: Page): Promise<unknown> =>
  page.evaluate(() =>
    Promise.all(
      document
        .getAnimations()
        .filter(a => a.effect?.getComputedTiming().iterations !== Number.POSITIVE_INFINITY)
        .map(a => a.finished.catch(() => 0)),
    ),
  );

async function audit(page: Page): Promise<Violation[]> {
  if (!(await page.evaluate('typeof axe !== "undefined"'))) await page.evaluate(axeSource);
  const result = await page.evaluate('axe.run(document, { resultTypes: ["violations"] })');
  return (result as { violations: Violation[] }).violations;
}

/** No page scrolls sideways. */
export async function fits(page: Page): Promise<void> {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(over, 'wider than the window by').toBeLessThanOrEqual(0);
}

export const nodes = (page: Page): Promise<number> => page.evaluate(() => document.querySelectorAll('*').length);
