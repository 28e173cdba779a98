/** What a failure is, for a program that decides what to do about it. `type` says it as the server does. */
export type ErrorKind =
  /** no credential was sent */
  | 'credential_missing'
  /** the credential isn't known, or was revoked before the request */
  | 'credential_invalid'
  | 'credential_expired'
  /** the credential was revoked or changed while it was in use */
  | 'credential_ended'
  /** a ticket was used already, has expired, or is for another stream */
  | 'ticket_invalid'
  /** the credential lacks a role: the message names the roles that may */
  | 'role_missing'
  /** the credential isn't for all the namespaces that this needs */
  | 'namespaces_missing'
  /** there is no such thing, or it is in a namespace of others */
  | 'not_found'
  /** the batch was erased; `details.erased_at` says when */
  | 'erased'
  /** the server isn't meant to be used under this host name */
  | 'misdirected_request'
  /** the server doesn't let pages of this origin use it */
  | 'cross_origin'
  /** too much at once: `limit` says of what, `retryAfter` for how long */
  | 'limit'
  /** credentials can't be checked at the moment */
  | 'access_unavailable'
  /** the option `token` gave no credential */
  | 'token'
  /** the server can't be reached, or a stream was lost */
  | 'network'
  /** the server can't answer at the moment */
  | 'unavailable'
  /** the request is wrong, and stays so */
  | 'invalid_request'
  /** what answered isn't Headway, or this package is too old for it */
  | 'bad_answer';

/** What to do about an error of each kind, for the person who operates the page or program. */
const advices: Record<ErrorKind, string> = {
  credential_missing: 'Give the client a credential with its option token, or sign in.',
  credential_invalid: 'Get another key or token. It may have been revoked, or belong to another Headway.',
  credential_expired: 'Get a new key or token.',
  credential_ended: 'Get the present key or token.',
  ticket_invalid: 'Ask for a new ticket. Each opens one stream, once, within 30 s.',
  role_missing: 'Use a key or token that has one of the roles that may do this.',
  namespaces_missing: 'Use a key or token for all namespaces.',
  not_found: 'Check the name and the namespace. What is in a namespace of others is answered in the same way.',
  erased: 'It was erased on purpose, and nothing brings it back.',
  misdirected_request: "Use one of the server's own names, or add this one with --allowed-host.",
  cross_origin: "Add this page's origin to the server's --cors-origin.",
  limit: 'Wait, and then do less at once, or have the limit raised.',
  access_unavailable: 'Try again shortly.',
  token: 'Check the function that was given as the option token.',
  network: 'Check that the server runs and can be reached from here.',
  unavailable: 'Try again shortly.',
  invalid_request: 'Correct the request. The message says what is wrong.',
  bad_answer: "Check the URL, what stands between here and the server, and this package's version.",
};

/** The kinds of answers whose type isn't itself the name of a kind, such as those of a proxy. */
function kindOf(status: number, type: string): ErrorKind {
  if (Object.hasOwn(advices, type)) return type as ErrorKind;
  if (type === 'credential_in_url') return 'credential_invalid';
  switch (status) {
    case 0:
      return type === 'bad_answer' ? 'bad_answer' : 'network';
    case 401:
      return 'credential_invalid';
    case 403:
      return 'role_missing';
    case 404:
      return 'not_found';
    case 421:
      return 'misdirected_request';
    case 429:
      return 'limit';
  }
  return status === 408 || status >= 500 ? 'unavailable' : 'invalid_request';
}

/** An answer that is an error: RFC 9457 in Headway's envelope, or a part of it. */
export interface Problem {
  status?: number;
  detail?: string;
  error?: { message?: string; type?: string; details?: Record<string, unknown> };
}

/**
 * Why a request failed. `kind` is one of a fixed set. `type` is the problem's type as the server names it, or
 * `network` (not reachable), `cut` (a stream was lost), `token` (no credential), `bad_answer`. `status` is the HTTP
 * status, or 0 without an answer.
 */
export class HeadwayError extends Error {
  override readonly name = 'HeadwayError';
  readonly kind: ErrorKind;
  readonly status: number;
  readonly type: string;
  readonly details: Record<string, unknown>;
  /** Seconds to wait before a retry, if the server gave them. */
  readonly retryAfter: number | null;

  constructor(
    message: string,
    o: {
      status?: number;
      type: string;
      details?: Record<string, unknown>;
      retryAfter?: number | null;
      cause?: unknown;
    },
  ) {
    super(message, 'cause' in o ? { cause: o.cause } : undefined);
    this.status = o.status ?? 0;
    this.type = o.type;
    this.kind = kindOf(this.status, o.type);
    this.details = o.details ?? {};
    this.retryAfter = o.retryAfter ?? null;
  }

  /** What is wrong, in a sentence of the server. */
  get detail(): string {
    return this.message;
  }

  /** What to do about it. */
  get advice(): string {
    return advices[this.kind];
  }

  /** Which limit was reached, if `kind` is `limit`. */
  get limit(): string | null {
    if (this.kind !== 'limit') return null;
    return typeof this.details.limit === 'string' ? this.details.limit : this.type;
  }

  /** Whether a retry may succeed soon. */
  get passes(): boolean {
    if (this.kind === 'cross_origin') return false;
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }

  /** Whether a later retry may succeed at all: a batch may be created, or a permission granted. */
  get mayChange(): boolean {
    return this.passes || ['bad_answer', 'cross_origin'].includes(this.kind) || [401, 403, 404].includes(this.status);
  }

  /** Reads an error answer of Headway, or whatever a proxy sends. */
  static async from(r: Response): Promise<HeadwayError> {
    const text = r.statusText || `HTTP ${r.status}`;
    const of = (p: Problem) => HeadwayError.of(p, { status: r.status, text, retryAfter: seconds(r) });
    try {
      return of((await r.json()) as Problem);
    } catch {
      return of({}); // not Headway's format: the status has to be enough
    }
  }

  /** Makes an error of a problem document. What it lacks is taken from the answer that it came with. */
  static of(p: Problem, answer: { status: number; text: string; retryAfter?: number | null }): HeadwayError {
    return new HeadwayError(p.error?.message ?? p.detail ?? answer.text, {
      status: answer.status,
      type: p.error?.type ?? `http_${answer.status}`,
      details: p.error?.details ?? {},
      retryAfter: answer.retryAfter ?? null,
    });
  }
}

/** Parses Retry-After, in seconds or as a date. */
function seconds(r: Response): number | null {
  const text = r.headers.get('Retry-After');
  if (!text) return null;
  const n = Number(text);
  if (Number.isFinite(n)) return Math.max(0, n);
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, (at - Date.now()) / 1000);
}

export function asError(e: unknown): HeadwayError {
  if (e instanceof HeadwayError) return e;
  const text = e instanceof Error ? e.message : String(e);
  return new HeadwayError(`no connection: ${text}`, { type: 'network', cause: e });
}
