// Addresses: below a path of a reverse proxy, unknown ones, and those that the empty page and /docs use.
import { spawn, spawnSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launch, open, seen } from './browser';
import { Gateway } from './gateway';
import { drop, type Headway, healthy, run, send } from './serve';
import { house } from './workload';

const bin = new URL('../../../../bin', import.meta.url).pathname;
const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };

let browser: Browser;
let h: Headway;
let proxy: Gateway;

beforeAll(async () => {
  [browser, h] = await Promise.all([launch(), run(['--base-path', '/headway'])]);
  proxy = await new Gateway(h.url, '/headway').start();
  await send(h.url, house(Date.now()), 'house');
  await healthy(h.url, 'stuck', 2, 'house');
});
afterAll(async () => {
  await proxy?.stop();
  await browser?.close();
  if (h) await drop(h);
});

test('behind a reverse proxy at /headway/ everything works: list, batch, evidence, links, /docs', async () => {
  const { page, close } = await open(browser, `${proxy.url}/?namespace=house`);
  await page.waitForSelector('[data-state="live"]');
  await page.locator('[data-id="images-0412"] .name a').click();
  await page.waitForURL('**/headway/batches/images-0412?namespace=house');
  await page.waitForSelector('.verdict');
  await page.waitForSelector('[data-state="live"]');
  await page.reload();
  await page.getByRole('button', { name: 'Evidence' }).click();
  await page.getByText('How this was decided').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('link', { name: '← Batches' }).click();
  await page.waitForURL('**/headway/?namespace=house');
  await page.waitForSelector('.row[data-id]');
  await page.goto(`${proxy.url}/batches/images-0412?namespace=house`);
  await page.locator('.under').getByRole('link', { name: 'media' }).click(); // whose code is loaded only now
  await page.waitForURL('**/headway/pipelines/media?namespace=house');
  await page.waitForSelector('.matrix');
  await page.keyboard.press('b');
  await page.waitForSelector('.row[data-id]');
  await page.keyboard.press('?');
  await page.getByRole('link', { name: 'The API' }).click();
  await page.getByRole('heading', { name: 'Headway API' }).waitFor();
  await close();
});

test('an unknown address is a page, and an error for programs', async () => {
  const { page, close } = await open(browser, `${proxy.url}/nowhere/at/all`);
  await page.getByRole('heading', { name: 'There is no such page' }).waitFor();
  await seen(page, 'no-page', { picture: false });
  await page.getByRole('link', { name: 'All batches' }).click();
  await page.waitForURL('**/headway/');
  await close({ network: true });
  expect((await fetch(`${proxy.url}/nowhere`)).headers.get('content-type')).toBe('application/problem+json');
});

test('unavailable is not “no connection”', async () => {
  proxy.rule = { status: 503, message: 'A backend can’t be reached at the moment. Try again shortly.' };
  for (const path of ['/?namespace=house', '/batches/images-0412?namespace=house']) {
    const { page, close } = await open(browser, `${proxy.url}${path}`);
    await page.locator('.connection', { hasText: 'Unavailable' }).waitFor();
    const text = await page.locator('body').innerText();
    expect(text).toContain('can’t be reached at the moment');
    expect(text).not.toContain('No connection');
    expect(text).not.toContain("Headway can't be reached");
    await seen(page, path.startsWith('/?') ? 'unavailable' : 'batch-unavailable', { picture: path.startsWith('/?') });
    proxy.pass();
    await page.waitForSelector('[data-state="live"]');
    await close({ network: true });
    proxy.rule = { status: 503, message: 'A backend can’t be reached at the moment. Try again shortly.' };
  }
  proxy.pass();
});

test('/docs sends a request, and shows what this server answers', async () => {
  const { page, close } = await open(browser, `${proxy.url}/docs`);
  const operation = page.getByRole('region', { name: 'The batches of a namespace', exact: true });
  await operation.getByText('Try it').click();
  await operation.getByRole('textbox', { name: 'health' }).fill('stuck');
  await operation.getByRole('textbox', { name: 'namespace' }).fill('house');
  await operation.getByRole('button', { name: 'Send' }).click();
  await operation.getByRole('status').getByText('200').waitFor();
  expect(await operation.getByRole('region', { name: 'Answer to' }).innerText()).toContain('"batch_id": "images-0412"');
  await seen(page, 'docs', { picture: false, scheme: false });
  await close();
});

test('each command of the empty page works as it stands', async () => {
  const { page, close } = await open(browser, `${h.url}/headway/?namespace=fresh`);
  await page.waitForSelector('[data-empty]');
  const [first = '', attach = '', demo = ''] = await page.locator('[data-empty] pre').allInnerTexts();
  const sent = spawnSync('sh', ['-c', first], { encoding: 'utf8', env });
  expect(sent.stdout, sent.stderr).toContain('"accepted":1');

  const ray = await rayDashboard();
  const at = `http://127.0.0.1:${(ray.address() as AddressInfo).port}`;
  expect(attach).toContain('http://127.0.0.1:8265'); // Ray's usual address; the test has it elsewhere
  expect(attach).toContain(h.nats);
  const attached = await until(attach.replace('http://127.0.0.1:8265', at), /relay/i);
  expect(attached).toContain('Ray 2.9.9');
  ray.close();

  expect(demo).toContain(`${h.url}/headway`);
  await until(`${demo} --speed 50`, /events stored/);
  await page.locator('.held').waitFor(); // its batches wait for the reader
  await page.keyboard.press('u');
  await page.waitForSelector('[data-id^="demo-"]');
  await close();
});

/** What Ray's dashboard says of a cluster without jobs. */
async function rayDashboard(): Promise<Server> {
  const s = createServer((q, a) => {
    a.setHeader('Content-Type', 'application/json');
    if (q.url?.startsWith('/api/version')) a.end('{"version":"4","ray_version":"2.9.9","ray_commit":"x"}');
    else if (q.url?.startsWith('/api/jobs')) a.end('[]');
    else a.writeHead(404).end('{}');
  });
  await new Promise<void>(resolve => s.listen(0, '127.0.0.1', resolve));
  return s;
}

/** Runs a command until it has said something, and then ends it. */
function until(command: string, says: RegExp): Promise<string> {
  const p = spawn('sh', ['-c', `exec ${command}`], { env });
  return new Promise((resolve, reject) => {
    let out = '';
    const late = setTimeout(() => p.kill('SIGKILL'), 30_000);
    const on = (d: Buffer): void => {
      out += d;
      if (says.test(out)) p.kill('SIGTERM');
    };
    p.stdout.on('data', on);
    p.stderr.on('data', on);
    p.on('error', reject);
    p.on('close', () => {
      clearTimeout(late);
      if (says.test(out)) resolve(out);
      else reject(new Error(`${command}: ${out}`));
    });
  });
}
