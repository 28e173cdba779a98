import { readFileSync } from 'node:fs';
import { vi } from 'vitest';
import type { BatchList, Row, Snapshot } from '../../src/index.ts';

/** A request that was made, and what is answered to it. */
export class Asked {
  readonly url: string;
  readonly headers: Headers;
  readonly signal: AbortSignal | null;
  readonly method: string;
  readonly mode: string | undefined;
  readonly body: unknown;
  open = true;
  #body!: ReadableStreamDefaultController<Uint8Array>;
  readonly #resolve: (r: Response) => void;
  readonly #reject: (e: unknown) => void;
  #answered = false;

  constructor(url: string, init: RequestInit, resolve: (r: Response) => void, reject: (e: unknown) => void) {
    this.url = url;
    this.headers = new Headers(init.headers);
    this.signal = init.signal ?? null;
    this.method = init.method ?? 'GET';
    this.mode = init.mode;
    this.body = typeof init.body === 'string' ? JSON.parse(init.body) : undefined;
    this.#resolve = resolve;
    this.#reject = reject;
    this.signal?.addEventListener('abort', () => {
      if (!this.open) return;
      this.open = false;
      if (this.#answered) this.#body?.error(this.signal?.reason);
      else reject(this.signal?.reason);
    });
  }

  get lastId(): string | null {
    return this.headers.get('Last-Event-ID');
  }

  async answer(status: number, body: BodyInit | null = null, headers: Record<string, string> = {}): Promise<void> {
    this.open = false;
    this.#answered = true;
    this.#resolve(new Response(body, { status, headers }));
    await settle();
  }

  async json(status: number, value: unknown, headers: Record<string, string> = {}): Promise<void> {
    await this.answer(status, JSON.stringify(value), { 'Content-Type': 'application/json', ...headers });
  }

  async problem(status: number, type: string, headers: Record<string, string> = {}): Promise<void> {
    await this.json(
      status,
      { status, detail: type, success: false, error: { message: type, type, details: {} } },
      headers,
    );
  }

  /** The connection can't be had. */
  async fail(): Promise<void> {
    this.open = false;
    this.#reject(new TypeError('fetch failed'));
    await settle();
  }

  async stream(text = 'retry: 1000\n\n'): Promise<void> {
    const body = new ReadableStream<Uint8Array>({
      start: c => {
        this.#body = c;
      },
    });
    this.#answered = true;
    this.#resolve(new Response(body, { status: 200, headers: { 'Content-Type': 'text/event-stream; charset=utf-8' } }));
    await this.send(text);
  }

  async send(text: string | Uint8Array): Promise<void> {
    this.#body.enqueue(typeof text === 'string' ? new TextEncoder().encode(text) : text);
    await settle();
  }

  /** The server closes. */
  async close(): Promise<void> {
    this.open = false;
    this.#body.close();
    await settle();
  }
}

/** A server that answers what the test says; `fetch` is what the client gets. */
export class Stand {
  readonly asked: Asked[] = [];

  readonly fetch: typeof fetch = (url, init = {}) =>
    new Promise((resolve, reject) => {
      this.asked.push(new Asked(String(url), init, resolve, reject));
    });

  get last(): Asked {
    const a = this.asked.at(-1);
    if (!a) throw new Error('nothing was asked');
    return a;
  }

  /** How many requests are open. */
  get open(): number {
    return this.asked.filter(a => a.open).length;
  }
}

/** Lets everything happen that needs no time. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await vi.advanceTimersByTimeAsync(0);
}

/** A golden answer of the server, at another revision. */
export function snapshot(revision: number, more: Partial<Snapshot> = {}, stream = 's'): Snapshot {
  return {
    ...golden,
    batch_id: 'b',
    health: 'ok',
    ...more,
    view: { ...golden.view, id: `${stream}-1-${revision}`, revision, lag_seconds: 0, ...more.view },
  };
}

export function frame(event: string, s: Snapshot): string {
  return `id: ${s.view.id}\nevent: ${event}\ndata: ${JSON.stringify(s)}\n\n`;
}

export function row(id: string, revision: number, more: Partial<Row> = {}): Row {
  const ordered_at = '2026-03-01T12:00:00Z';
  return { batch_id: id, batch_name: id, health: 'ok', status: 'PROCESSING', ordered_at, revision, ...more } as Row;
}

export function list(rows: Row[], incomplete = false): BatchList {
  const counts = { total: rows.length, health: { ok: rows.length }, status: {} };
  return { batches: rows, counts, next_cursor: null, incomplete };
}

export function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

export const described = JSON.parse(
  readFileSync(new URL('../../../../services/api/openapi.json', import.meta.url), 'utf8'),
) as Described;
interface Described {
  components: { schemas: Record<string, object> };
  paths: Record<
    string,
    {
      get: {
        responses: { 200: { content: { 'application/json': { examples: Record<string, { value: Snapshot }> } } } };
      };
    }
  >;
}
const examples =
  described.paths['/v1/analytics/performance/batches/{batch_id}/diagnostics']?.get.responses[200].content[
    'application/json'
  ].examples;
const golden = Object.values(examples ?? {})[0]?.value as Snapshot;
if (!golden?.view) throw new Error('the description of the API has no example of a snapshot');
