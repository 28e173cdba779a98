// Signing in and out, with a real API that has keys.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launch, open, seen, type Watched } from './browser';
import { Provider } from './provider';
import { drop, freePort, type Headway, healthy, makeKey, revokeKey, run, send } from './serve';
import { house, moving } from './workload';

let browser: Browser;
let h: Headway;

beforeAll(async () => {
  [browser, h] = await Promise.all([launch(), run(['--access', 'keys'])]);
  await send(h.url, house(Date.now()), 'team-a', h.key);
  for (const ns of ['team-b', 'of-others']) await send(h.url, moving(`video-${ns}`, Date.now()), ns, h.key);
  await healthy(h.url, 'stuck', 2, 'team-a', h.key);
  await healthy(h.url, 'ok', 1, 'team-b', h.key);
});
afterAll(async () => {
  await browser?.close();
  if (h) await drop(h);
});

/** Signs in on a page that asks for it. */
async function signIn(page: Page, key: string): Promise<void> {
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

/** A page that is signed in. */
async function signedIn(path: string, key: string): Promise<Watched> {
  const w = await open(browser, h.url + path);
  await w.page.waitForSelector('[data-signin]');
  await signIn(w.page, key);
  await w.page.waitForSelector('[data-signin]', { state: 'detached' });
  return w;
}

const reader = async (...namespaces: string[]) => makeKey(h, ['reader'], namespaces);

test('one signs in with a key, which the page does not keep, and is where one wanted to go', async () => {
  const { key } = await reader('team-a');
  const asked: string[] = [];
  const { page, context, close } = await open(browser, `${h.url}/batches/images-0412?tab=errors`);
  page.on('request', r => asked.push(`${r.method()} ${new URL(r.url()).pathname} ${r.headers().authorization ?? ''}`));
  await page.waitForSelector('[data-signin]');
  await page.getByLabel('API key').waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog.signin[open]');
  await signIn(page, `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`);
  await page.getByRole('alert').waitFor();
  expect(await page.getByRole('alert').innerText()).toContain("isn't known");
  expect(await page.getByLabel('API key').inputValue()).toBe('');
  await signIn(page, key);
  await page.waitForSelector('.verdict.stuck');
  await page.waitForSelector('[data-state="live"]');
  expect(page.url()).toBe(`${h.url}/batches/images-0412?tab=errors`);
  // The session is a cookie that no script can read.
  const cookies = await context.cookies();
  expect(cookies).toMatchObject([{ httpOnly: true, sameSite: 'Strict' }]);
  expect(await page.evaluate(() => document.cookie)).toBe('');
  expect(JSON.stringify([cookies, await context.storageState()])).not.toContain(key);
  expect(asked.filter(a => a.includes('Bearer'))).toEqual([]);
  expect(page.url()).not.toContain(key);
  // Another page of the same browser needs no key.
  const second = await context.newPage();
  await second.goto(`${h.url}/`);
  await second.waitForSelector('[data-id="images-0412"]');
  expect(await second.locator('[data-signin]').count()).toBe(0);
  await close({ network: true });
});

test('one sees who one is, and switches between namespaces, which are in the address', async () => {
  const { key } = await reader('team-a', 'team-b');
  const { page, context, close } = await signedIn('/', key);
  await page.getByRole('heading', { name: 'Your namespaces' }).waitFor(); // none of them is the one to begin with
  const rows = page.locator('main [data-namespaces] li');
  await expect.poll(() => rows.count()).toBe(2);
  expect(await rows.first().innerText()).toMatch(/^team-a\s*2\s*Stuck/);
  expect(await rows.nth(1).innerText()).toMatch(/^team-b\s*1\s*\w+\s*1\sbatch$/);
  await seen(page, 'namespaces');
  await page.getByRole('link', { name: 'team-a' }).click();
  await page.waitForSelector('[data-id="images-0412"]');
  expect(new URL(page.url()).searchParams.get('namespace')).toBe('team-a');
  await page.getByRole('banner').getByRole('button', { name: 'team-a' }).click();
  await page.locator('dialog [data-namespaces]').waitFor();
  await seen(page, 'switcher', { picture: false });
  await page.getByRole('link', { name: 'team-b' }).click();
  await page.waitForSelector('[data-id="video-team-b"]');
  const shared = await context.newPage();
  await shared.goto(page.url());
  await shared.waitForSelector('[data-id="video-team-b"]');
  await page.locator('[data-who]').click();
  const who = page.getByRole('dialog', { name: 'Signed in' });
  await who.getByText('team-a, team-b').waitFor();
  await seen(page, 'who', { picture: false });
  await close({ network: true });
});

test('forbidden and not there look alike', async () => {
  const { key } = await reader('team-a');
  const { page, close } = await signedIn('/', key);
  const look = async (path: string): Promise<string> => {
    await page.goto(h.url + path);
    await page.waitForSelector('[data-missing]');
    const text = await page.locator('main').innerText();
    const state = await page.locator('.connection').getAttribute('data-state');
    return `${state} ${text.replaceAll(/of-others|nowhere/g, 'NAME')}`;
  };
  expect(await look('/?namespace=of-others')).toBe(await look('/?namespace=nowhere'));
  expect(await look('/batches/video-of-others?namespace=of-others')).toBe(
    await look('/batches/video-of-others?namespace=nowhere'),
  );
  await close({ network: true });
});

test('who may not read is told which roles may', async () => {
  const { key } = await makeKey(h, ['writer'], ['team-a']);
  for (const path of ['/', '/batches/images-0412']) {
    const { page, close } = await signedIn(path, key);
    await page.waitForSelector('[data-refused]');
    expect(await page.locator('[data-refused]').innerText()).toMatch(/role writer.*reader/s);
    await page.getByRole('button', { name: 'Sign in as somebody else' }).click();
    await page.waitForSelector('[data-signin]');
    await close({ network: true });
  }
});

test('when the session ends while a page is open, one signs in again and the page goes on where it was', async () => {
  const { key } = await reader('team-a');
  const { page, context, close } = await signedIn('/batches/images-0412', key);
  await page.waitForSelector('.verdict.stuck');
  await page.evaluate(() => {
    scrollTo(0, 300);
    (globalThis as { mark?: Element | null }).mark = document.querySelector('article.batch');
  });
  const second = await context.newPage();
  await second.goto(`${h.url}/`);
  await second.waitForSelector('[data-id="images-0412"]');
  await second.locator('[data-who]').click();
  await second.getByRole('button', { name: 'Sign out' }).click();
  await second.waitForSelector('[data-signin]');
  expect(await second.locator('[data-id]').count()).toBe(0);
  expect(await context.cookies()).toEqual([]);
  await page.waitForSelector('[data-signin]', { timeout: 60_000 });
  expect(await page.locator('[data-signin]').innerText()).toContain('Your session has ended');
  await seen(page, 'session-ended', { picture: false });
  await signIn(page, key);
  await page.waitForSelector('[data-signin]', { state: 'detached' });
  await page.waitForSelector('[data-state="live"]');
  expect(
    await page.evaluate(() => [
      scrollY,
      (globalThis as { mark?: Element | null }).mark === document.querySelector('article.batch'),
    ]),
  ).toEqual([300, true]);
  // It is live again, in truth.
  await send(h.url, [{ batch: 'images-0412', type: 'batch', data: { name: 'Renamed' } }], 'team-a', h.key);
  await page.getByRole('heading', { name: 'Renamed' }).waitFor();
  await close({ network: true });
});

test('when the key of a session is revoked, its pages ask for another one by themselves', async () => {
  const { id, key } = await reader('team-b');
  const { page, context, close } = await signedIn('/', key);
  await page.waitForSelector('[data-id="video-team-b"]');
  await page.waitForSelector('[data-state="live"]');
  await revokeKey(h, id);
  await page.waitForSelector('[data-signin]', { timeout: 60_000 });
  const again = await context.request.get(`${h.url}/v1/me`);
  expect(again.status()).toBe(401);
  await signIn(page, (await reader('team-a')).key); // somebody else: nothing of before is shown
  await page.waitForSelector('[data-id="images-0412"]');
  expect(await page.locator('[data-id="video-team-b"]').count()).toBe(0);
  await close({ network: true });
});

test("one signs in with one's account of a company, and is where one wanted to go", async () => {
  const provider = await new Provider().start();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const own = await run(
    [
      ['--access', 'keys', '--public-url', url],
      ['--oidc-issuer', provider.url, '--oidc-client-id', 'headway', '--oidc-name', 'Example Inc'],
    ].flat(),
    undefined,
    port,
  );
  await send(own.url, moving('video-0412', Date.now()), 'team-a', own.key);
  await healthy(own.url, 'ok', 1, 'team-a', own.key);
  provider.claims = { sub: 'u1', name: 'Ada Lovelace', groups: ['headway:team-a:reader'] };
  const { page, context, close } = await open(browser, `${url}/batches/video-0412?tab=errors`, {
    abroad: provider.url,
  });
  await page.getByLabel('API key').waitFor();
  await seen(page, 'signin');
  await page.getByRole('link', { name: 'Sign in with Example Inc' }).click();
  await page.waitForSelector('.verdict.ok');
  await page.waitForSelector('[data-state="live"]');
  expect(page.url()).toBe(`${url}/batches/video-0412?tab=errors`);
  expect(await page.locator('[data-who]').innerText()).toContain('Ada Lovelace');
  expect(await page.evaluate(() => document.cookie)).toBe('');
  expect(await context.cookies(url)).toMatchObject([{ httpOnly: true, sameSite: 'Strict' }]);
  await close({ network: true });
  await drop(own);
  provider.stop();
});

describe('pages of others', () => {
  let server: Server;
  let port: number;
  beforeAll(async () => {
    server = createServer((_, r) => r.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><p>Hello'));
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  // localhost and 127.0.0.1 are two sites; two ports of one are one site, and two origins.
  test.each([
    ['another site', 'localhost'],
    ['another port of the same site', '127.0.0.1'],
  ])('of %s can not use the session', async (_, host) => {
    const { page, context } = await signedIn('/?namespace=team-a', h.key);
    await page.waitForSelector('[data-id="images-0412"]');
    const evil = await context.newPage();
    await evil.goto(`http://${host}:${port}/`);
    const names = async () => {
      const r = await context.request.get(`${h.url}/v1/keys`);
      return ((await r.json()) as { keys: { name: string }[] }).keys.map(k => k.name);
    };
    expect(await names()).not.toContain('stolen'); // the browser's own session may ask
    const sent = evil.waitForResponse(r => r.url().endsWith('/v1/keys'));
    await evil.evaluate(
      url =>
        fetch(`${url}/v1/keys`, {
          method: 'POST',
          mode: 'no-cors',
          credentials: 'include',
          body: JSON.stringify({ name: 'stolen', namespaces: ['*'], roles: ['admin'] }),
        }).catch(() => {}),
      h.url,
    );
    expect((await sent).status()).toBe(403);
    expect(await names()).not.toContain('stolen');
    // The dashboard's own page may do what its session may.
    const own = await page.evaluate(async () => {
      const r = await fetch('/v1/keys', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ name: 'own', namespaces: ['team-a'], roles: ['reader'] }),
      });
      return r.status;
    });
    expect(own).toBe(201);
    // A page of others can't read anything either, or sign anybody in.
    const read = await evil.evaluate(
      url =>
        fetch(`${url}/v1/me`, { credentials: 'include' }).then(
          () => 'read',
          () => 'not read',
        ),
      h.url,
    );
    expect(read).toBe('not read');
    const login = evil.waitForResponse(r => r.url().endsWith('/v1/session'));
    await evil.evaluate(
      ([url, key]) =>
        fetch(`${url}/v1/session`, {
          method: 'POST',
          mode: 'no-cors',
          credentials: 'include',
          body: JSON.stringify({ key }),
        }).catch(() => {}),
      [h.url, h.key] as const,
    );
    expect((await login).status()).toBe(403);
    await context.close();
  });
});

test('without access control nothing of this is shown or asked', async () => {
  const free = await run();
  await send(free.url, moving('video-0412', Date.now()));
  const asked = new Set<string>();
  const { page, close } = await open(browser, 'about:blank');
  page.on('request', r => asked.add(new URL(r.url()).pathname));
  await page.goto(`${free.url}/`);
  await page.waitForSelector('[data-id="video-0412"]');
  await page.waitForSelector('[data-state="live"]');
  expect(await page.locator('[data-signin], [data-who]').count()).toBe(0);
  expect([...asked].filter(p => p.startsWith('/v1/')).sort()).toEqual(['/v1/batches', '/v1/batches/stream']);
  await close();
  await drop(free);
});
