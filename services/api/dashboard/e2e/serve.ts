// Starts what a test looks at: the real programs, on ports of their own, with data that is gone afterwards.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Schemas } from '@headway/client';

const bin = new URL('../../../../bin/', import.meta.url).pathname;

export async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const s = createServer();
    s.once('error', reject);
    s.listen(0, '127.0.0.1', () => {
      const address = s.address();
      s.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}

/** A child that is ended by its pid, and waited for. */
export class Child {
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  output = '';
  errors = '';

  constructor(command: string, args: string[]) {
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.process.stdout?.on('data', d => (this.output += d));
    this.process.stderr?.on('data', d => (this.errors = (this.errors + d).slice(-8000)));
    this.ended = new Promise(resolve => {
      this.process.once('exit', code => resolve(code));
      this.process.once('error', e => {
        this.errors += e.message;
        resolve(null);
      });
    });
  }

  signal(name: NodeJS.Signals): void {
    this.process.kill(name);
  }

  async stop(): Promise<void> {
    this.process.kill('SIGCONT');
    this.process.kill('SIGTERM');
    const slow = setTimeout(() => this.process.kill('SIGKILL'), 5000);
    await this.ended;
    clearTimeout(slow);
  }
}

export async function until<T>(what: string, f: () => Promise<T> | T, within = 30_000): Promise<NonNullable<T>> {
  const end = Date.now() + within;
  let last: unknown;
  for (;;) {
    try {
      const v = await f();
      if (v) return v;
    } catch (e) {
      last = e;
    }
    if (Date.now() > end) throw new Error(`not within ${within / 1000} s: ${what}${last ? ` (${last})` : ''}`);
    await new Promise(r => setTimeout(r, 50));
  }
}

export interface Headway {
  url: string;
  nats: string;
  data: string;
  policy: string;
  args: string[];
  child: Child;
  /** The first administrator's key, with `--access keys`. */
  key: string;
}

/** `headway run` with its embedded defaults, or what `more` says instead. */
export async function run(more: string[] = [], data?: string, port = 0): Promise<Headway> {
  const dir = data ?? (await mkdtemp(join(tmpdir(), 'headway-dashboard-')));
  const policy = join(dir, 'policy.yaml');
  // The usual thresholds: what is to look old is sent with old times. Only nothing is waited for at the start.
  await writeFile(policy, 'default: {hold: 1s, scaling_delay: 1ms}\n');
  const args = [
    'run',
    '--listen',
    `127.0.0.1:${port}`,
    '--nats-listen',
    '127.0.0.1:0',
    '--data-dir',
    dir,
    '--policy',
    policy,
    ...more,
  ];
  const child = new Child(join(bin, 'headway'), args);
  const ready = await until('headway run is ready', () => {
    if (child.process.exitCode !== null) throw new Error(child.errors);
    return /ready api=(\S+) nats=(\S+)/.exec(child.output);
  });
  const keyed = more.includes('keys') && !data; // the key is shown at the first start only
  const key = keyed ? await until('the first key', () => /\bhw_\w+/.exec(child.errors)?.[0]) : '';
  return { url: ready[1] ?? '', nats: ready[2] ?? '', data: dir, policy, args: more, child, key };
}

export async function drop(h: Headway): Promise<void> {
  await h.child.stop();
  await rm(h.data, { recursive: true, force: true });
}

/** One of the programs that run apart. */
export const program = (name: string, args: string[]): Child => new Child(join(bin, name), args);

export interface Event {
  batch: string;
  type: 'batch' | 'tier' | 'job' | 'collection' | 'stage' | 'job.proof';
  data: Record<string, unknown>;
  at?: number;
}

let sequence = 0;

/** Sends events through the front door, at most 1,000 in a request. */
export async function send(url: string, events: Event[], namespace = 'default', key = ''): Promise<void> {
  for (let i = 0; i < events.length; i += 1000) {
    const body = events.slice(i, i + 1000).map(e => ({
      specversion: '1.0',
      id: `e2e-${process.pid}-${++sequence}`,
      source: 'e2e',
      type: `dev.headway.${e.type}.v1`,
      subject: e.batch,
      time: new Date(e.at ?? Date.now()).toISOString(),
      data: e.data,
    }));
    const answer = await fetch(`${url}/v1/events`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/cloudevents-batch+json', ...headers(namespace, key) },
      body: JSON.stringify(body),
    });
    if (answer.status !== 202) throw new Error(`events were refused: ${answer.status} ${await answer.text()}`);
  }
}

/** Waits for an answer of one batch that `is` agrees with; of its tiers it has the first only, and `page` says how many there are. */
export async function answered(
  url: string,
  batch: string,
  is: (s: Schemas['Snapshot']) => boolean,
  namespace = 'default',
): Promise<void> {
  await until(
    `the answer of ${batch}`,
    async () => {
      const r = await fetch(`${url}/v1/analytics/performance/batches/${batch}/diagnostics?tiers_limit=1`, {
        headers: { 'X-Namespace': namespace },
      });
      return r.ok && is((await r.json()) as Schemas['Snapshot']);
    },
    60_000,
  );
}

function headers(namespace: string, key: string): Record<string, string> {
  return { 'X-Namespace': namespace, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
}

/** Makes a key with an administrator's. */
export async function makeKey(h: Headway, roles: string[], namespaces: string[]): Promise<{ id: string; key: string }> {
  const r = await fetch(`${h.url}/v1/keys`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${h.key}` },
    body: JSON.stringify({ name: roles.join(), roles, namespaces }),
  });
  if (r.status !== 201) throw new Error(`no key: ${r.status} ${await r.text()}`);
  return (await r.json()) as { id: string; key: string };
}

export async function revokeKey(h: Headway, id: string): Promise<void> {
  const r = await fetch(`${h.url}/v1/keys/${id}`, {
    method: 'DELETE',
    headers: { Authorization: `Bearer ${h.key}` },
  });
  if (!r.ok) throw new Error(`not revoked: ${r.status} ${await r.text()}`);
}

/** Waits until so many batches have a health: until then rows still move. */
export async function healthy(url: string, health: string, n: number, namespace: string, key = ''): Promise<void> {
  await until(
    `${n} batches are ${health}`,
    async () => {
      const r = await fetch(`${url}/v1/batches?limit=1`, { headers: headers(namespace, key) });
      return (
        r.ok && (((await r.json()) as { counts: { health: Record<string, number> } }).counts.health[health] ?? 0) >= n
      );
    },
    60_000,
  );
}

/** Waits until the list has `n` batches. */
export async function listed(url: string, n: number, namespace = 'default'): Promise<void> {
  await until(
    `${n} batches are listed`,
    async () => {
      const r = await fetch(`${url}/v1/batches?limit=1`, { headers: { 'X-Namespace': namespace } });
      return r.ok && ((await r.json()) as { counts: { total: number } }).counts.total >= n;
    },
    60_000,
  );
}
