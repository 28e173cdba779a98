import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Snapshot } from '../../src/index.ts';

// Vite gives files of other packages the prefix /@fs where a test runs in a page.
const bin = (name: string) =>
  fileURLToPath(new URL(`../../../../bin/${name}`, import.meta.url)).replace(/^\/@fs\//, '/');
export const headwayBinary = bin('headway');
export const toxiproxyBinary = bin('toxiproxy/server');

/** Whether what a test needs is here; says so loudly if not. */
export function have(test: string, ...paths: string[]): boolean {
  const missing = paths.filter(p => !existsSync(p));
  if (missing.length > 0) console.warn(`NOTE: ${test} is skipped: there is no ${missing.join(', ')}`);
  return missing.length === 0;
}

export async function listen(server: Server, port = 0): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

export async function freePort(): Promise<number> {
  const s = createServer();
  const port = await listen(s);
  s.close();
  await once(s, 'close');
  return port;
}

/** Waits for a condition, and says what was waited for when it doesn't come. */
export async function eventually<T>(what: string, limit: number, f: () => T | Promise<T>): Promise<NonNullable<T>> {
  const until = Date.now() + limit;
  let last: unknown;
  for (;;) {
    try {
      const got = await f();
      if (got) return got;
      last = got;
    } catch (e) {
      last = e;
    }
    if (Date.now() > until) throw new Error(`${what}: not within ${limit} ms; last: ${String(last)}`);
    await new Promise(r => setTimeout(r, 50));
  }
}

/** A `headway run` as a child, that can be killed and started again on the same data and address. */
export class Running {
  #dir = '';
  #child: ChildProcess | null = null;
  readonly #more: string[];
  port = 0;
  /** The first administrator's key, with `--access keys`. */
  key = '';

  constructor(more: string[] = []) {
    this.#more = more;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    this.#dir ||= mkdtempSync(join(tmpdir(), 'headway-js-'));
    this.port ||= await freePort();
    const args = [
      'run',
      '--listen',
      `127.0.0.1:${this.port}`,
      '--nats-listen',
      '127.0.0.1:0',
      '--data-dir',
      this.#dir,
      ...this.#more,
    ];
    const child = spawn(headwayBinary, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    let said = '';
    child.stderr?.on('data', d => {
      said += d;
    });
    await new Promise<void>((resolve, reject) => {
      let out = '';
      child.stdout?.on('data', d => {
        out += d;
        if (/^ready api=/m.test(out)) resolve();
      });
      child.once('exit', code => reject(new Error(`headway run ended with ${code}: ${said}`)));
    });
    if (this.#more.includes('keys') && !this.key) {
      this.key = await eventually('the first key', 10_000, () => /\bhw_\w+/.exec(said)?.[0]);
    }
  }

  /** Sends a request as the first administrator. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...(init.headers as Record<string, string>) };
    if (this.key) headers.Authorization = `Bearer ${this.key}`;
    return fetch(this.url + path, { ...init, headers });
  }

  /** Makes a key. */
  async makeKey(roles: string[], namespaces: string[], name = 'test'): Promise<{ id: string; key: string }> {
    const r = await this.fetch('/v1/keys', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name, roles, namespaces }),
    });
    if (r.status !== 201) throw new Error(`${r.status} ${await r.text()}`);
    return (await r.json()) as { id: string; key: string };
  }

  async revokeKey(id: string): Promise<void> {
    const r = await this.fetch(`/v1/keys/${id}`, { method: 'DELETE' });
    if (!r.ok) throw new Error(`${r.status} ${await r.text()}`);
  }

  /** kill -9 */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  async close(): Promise<void> {
    await this.#end('SIGINT');
    if (this.#dir) rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Sends one event, as often as it takes to have it acknowledged. */
  async say(batch: string, type: string, data: object, limit = 20_000): Promise<void> {
    const id = crypto.randomUUID();
    await eventually('an event acknowledged', limit, async () => {
      const r = await this.fetch('/v1/events', {
        method: 'POST',
        headers: { 'Content-Type': 'application/cloudevents+json' },
        body: JSON.stringify({
          specversion: '1.0',
          id,
          source: 'test',
          type: `dev.headway.${type}.v1`,
          subject: batch,
          time: new Date().toISOString(),
          data,
        }),
      });
      const text = await r.text();
      if (r.status === 400) throw new Error(text);
      return r.status === 202;
    });
  }

  async begin(batch: string): Promise<void> {
    await this.say(batch, 'batch', { status: 'PROCESSING', name: batch, total_tiers: 1 });
  }

  async progress(batch: string, processed: number): Promise<void> {
    await this.say(batch, 'tier', { tier_num: 0, processed_documents: processed, total_documents: 1_000_000 });
  }

  async finish(batch: string): Promise<void> {
    await this.say(batch, 'batch', { status: 'COMPLETED' });
  }

  async snapshot(batch: string): Promise<Snapshot> {
    const r = await this.fetch(`/v1/analytics/performance/batches/${batch}/diagnostics`);
    if (r.status !== 200) throw new Error(`${r.status} ${await r.text()}`);
    return (await r.json()) as Snapshot;
  }
}
