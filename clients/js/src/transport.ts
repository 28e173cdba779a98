import { asError, HeadwayError } from './errors.ts';
import type { ClientOptions, GroupQuery, HistoryQuery, ListQuery } from './types.ts';

export interface Question {
  accept?: string;
  lastId?: string;
  signal?: AbortSignal | undefined;
  /** What to send as JSON, with POST. */
  body?: unknown;
  /** Why the credential of the request before is of no use any more. */
  refused?: HeadwayError | null;
}

/** Sends requests to the API, each with a credential that is asked for anew. */
export class Transport {
  readonly base: string;
  readonly namespace: string;
  readonly #token: ClientOptions['token'];
  readonly #fetch: typeof fetch;
  readonly #own: string | undefined; // the page's origin
  #readable = false; // an answer was read: the server lets pages of this origin read answers

  constructor(o: ClientOptions) {
    const origin = globalThis.location?.origin;
    const own = origin && origin !== 'null' ? origin : undefined;
    const url = o.url ?? own;
    if (!url) throw new TypeError('url: required outside of a page');
    const parsed = new URL(url, own);
    if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') throw new TypeError('url: must be http or https');
    if (o.namespace !== undefined && !/^[A-Za-z0-9_-]{1,128}$/.test(o.namespace)) {
      throw new TypeError('namespace: must match ^[A-Za-z0-9_-]{1,128}$');
    }
    this.base = (parsed.origin + parsed.pathname).replace(/\/+$/, '');
    this.namespace = o.namespace ?? '';
    if (o.token !== undefined && typeof o.token !== 'function' && !/^[!-~]+$/.test(o.token)) {
      throw new TypeError('token: must be a key or token without spaces, or a function that returns one');
    }
    this.#token = o.token;
    this.#own = globalThis.document && own;
    this.#fetch = o.fetch ?? globalThis.fetch.bind(globalThis);
  }

  /** Whether the credential is always the same, so that a refusal of it is final. */
  get fixed(): boolean {
    return typeof this.#token === 'string';
  }

  /** Resolves with an answer that is a success. Rejects with a HeadwayError, or with the signal's reason. */
  async ask(path: string, q: Question = {}): Promise<Response> {
    const token = await this.#ask(q.signal, q.refused ?? null);
    let r = await this.#send(path, q, token);
    if (r.status === 401 && typeof this.#token === 'function') {
      const refused = await HeadwayError.from(r);
      const again = await this.#ask(q.signal, refused); // the credential may have expired on the way
      if (again === token) throw refused;
      r = await this.#send(path, q, again);
    }
    if (r.ok) return r;
    throw await HeadwayError.from(r);
  }

  async json<T>(path: string, signal?: AbortSignal, body?: unknown): Promise<T> {
    const r = await this.ask(path, { signal, body });
    try {
      return (await r.json()) as T;
    } catch (e) {
      signal?.throwIfAborted();
      throw new HeadwayError('an answer that is no JSON', { status: r.status, type: 'bad_answer', cause: e });
    }
  }

  async #ask(signal: AbortSignal | undefined, refused: HeadwayError | null): Promise<string> {
    signal?.throwIfAborted();
    const token = this.#token;
    if (typeof token !== 'function') return token ?? '';
    const given = Promise.resolve().then(() => token(refused));
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
    const init: RequestInit = { headers, cache: 'no-store', signal: q.signal ?? null };
    if (q.body !== undefined) {
      headers['Content-Type'] = 'application/json';
      Object.assign(init, { method: 'POST', body: JSON.stringify(q.body) });
    }
    try {
      const r = await this.#fetch(this.base + path, init);
      this.#readable = true;
      return r;
    } catch (e) {
      q.signal?.throwIfAborted();
      if (await this.#foreign(q.signal)) {
        const message = `${this.base} doesn't let pages of ${this.#own} use it`;
        throw new HeadwayError(message, { type: 'cross_origin', cause: e });
      }
      q.signal?.throwIfAborted();
      throw asError(e);
    }
  }

  /**
   * Whether a request failed only because this page may not read the answer. Browsers don't tell that from a server that
   * can't be reached. So the page sends a request whose answer nobody wants to read, and sees whether there is one.
   */
  async #foreign(signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#readable || !this.#own || new URL(this.base).origin === this.#own) return false;
    try {
      await this.#fetch(`${this.base}/livez`, { mode: 'no-cors', credentials: 'omit', signal: signal ?? null });
      return true;
    } catch {
      return false;
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

/** A time as the API reads it. */
export const moment = (t?: Date | string): string | undefined => (t instanceof Date ? t.toISOString() : t);

export function listPath(l: ListQuery | GroupQuery | HistoryQuery, path = '/v1/batches'): string {
  const { pipeline, owner, cause, alike, labels, ...plain } = l;
  const q = new URLSearchParams(
    query(Object.fromEntries(Object.entries(plain).map(([name, v]) => [name, v instanceof Date ? moment(v) : v]))),
  );
  // Texts that may contain a comma.
  for (const [name, texts] of Object.entries({ pipeline, owner, cause, alike }))
    for (const text of texts === undefined ? [] : [texts].flat()) q.append(name, text);
  for (const [key, value] of Object.entries(labels ?? {})) q.append('label', `${key}:${value}`);
  const text = q.toString();
  return `${path}${text && `?${text}`}`;
}
