import { asError, HeadwayError } from './errors.ts';
import type { ClientOptions, ListQuery } from './types.ts';

export interface Question {
  accept?: string;
  lastId?: string;
  signal?: AbortSignal | undefined;
}

/** Asks the API, each time with a credential that is asked for anew. */
export class Transport {
  readonly base: string;
  readonly namespace: string;
  readonly #token: ClientOptions['token'];
  readonly #fetch: typeof fetch;

  constructor(o: ClientOptions) {
    const own = globalThis.location?.origin;
    const url = o.url ?? (own && own !== 'null' ? own : undefined);
    if (!url) throw new TypeError('url: required outside of a page');
    const parsed = new URL(url, own && own !== 'null' ? own : undefined);
    if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') throw new TypeError('url: must be http or https');
    if (o.namespace !== undefined && !/^[A-Za-z0-9_-]{1,128}$/.test(o.namespace)) {
      throw new TypeError('namespace: must match ^[A-Za-z0-9_-]{1,128}$');
    }
    this.base = (parsed.origin + parsed.pathname).replace(/\/+$/, '');
    this.namespace = o.namespace ?? '';
    this.#token = o.token;
    this.#fetch = o.fetch ?? globalThis.fetch.bind(globalThis);
  }

  /** Resolves with an answer of 200 or 204. Rejects with a HeadwayError, or with the signal's reason. */
  async ask(path: string, q: Question = {}): Promise<Response> {
    const token = await this.#ask(q.signal);
    let r = await this.#send(path, q, token);
    if (r.status === 401 && this.#token) {
      const again = await this.#ask(q.signal); // the credential may have expired on the way
      if (again !== token) {
        await r.body?.cancel();
        r = await this.#send(path, q, again);
      }
    }
    if (r.status === 200 || r.status === 204) return r;
    throw await HeadwayError.from(r);
  }

  async json<T>(path: string, signal?: AbortSignal): Promise<T> {
    const r = await this.ask(path, { signal });
    try {
      return (await r.json()) as T;
    } catch (e) {
      signal?.throwIfAborted();
      throw new HeadwayError('an answer that is no JSON', { status: r.status, type: 'bad_answer', cause: e });
    }
  }

  async #ask(signal: AbortSignal | undefined): Promise<string> {
    signal?.throwIfAborted();
    if (!this.#token) return '';
    const given = Promise.resolve().then(this.#token);
    let abort = () => {};
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(signal?.reason);
      signal?.addEventListener('abort', abort);
    });
    try {
      return await Promise.race([given, aborted]); // the user's function may never resolve
    } catch (e) {
      signal?.throwIfAborted();
      throw new HeadwayError('the credential could not be had', { type: 'token', cause: e });
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  async #send(path: string, q: Question, token: string): Promise<Response> {
    const headers: Record<string, string> = { Accept: q.accept ?? 'application/json' };
    if (this.namespace) headers['X-Namespace'] = this.namespace;
    if (q.lastId) headers['Last-Event-ID'] = q.lastId;
    if (token) headers.Authorization = `Bearer ${token}`;
    try {
      return await this.#fetch(this.base + path, { headers, cache: 'no-store', signal: q.signal ?? null });
    } catch (e) {
      q.signal?.throwIfAborted();
      throw asError(e);
    }
  }
}

export function batchPath(id: string): string {
  return `/v1/analytics/performance/batches/${encodeURIComponent(id)}/diagnostics`;
}

/** Builds `?a=1&b=2`, or an empty string. Undefined and null values are left out, arrays are joined by commas. */
export function query(o: Record<string, string | number | string[] | null | undefined>): string {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(o)) {
    if (value !== undefined && value !== null) q.set(name, Array.isArray(value) ? value.join(',') : String(value));
  }
  const text = q.toString();
  return text && `?${text}`;
}

export function listPath(l: ListQuery): string {
  const time = (t?: Date | string) => (t instanceof Date ? t.toISOString() : t);
  const { pipeline, labels, created_after, created_before, ...plain } = l;
  const q = new URLSearchParams(
    query({ ...plain, created_after: time(created_after), created_before: time(created_before) }),
  );
  for (const p of pipeline === undefined ? [] : [pipeline].flat()) q.append('pipeline', p);
  for (const [key, value] of Object.entries(labels ?? {})) q.append('label', `${key}:${value}`);
  const text = q.toString();
  return `/v1/batches${text && `?${text}`}`;
}
