/**
 * Why a request failed. `status` is the HTTP status, or 0 without an answer. `type` is the problem's type, such as
 * `not_found`, or `network` (not reachable), `cut` (a stream was lost), `token` (no credential), `bad_answer`.
 */
export class HeadwayError extends Error {
  override readonly name = 'HeadwayError';
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
    this.details = o.details ?? {};
    this.retryAfter = o.retryAfter ?? null;
  }

  /** Whether a retry may succeed soon. */
  get passes(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }

  /** Whether a later retry may succeed at all: a batch may be created, or a permission granted. */
  get mayChange(): boolean {
    return this.passes || this.type === 'bad_answer' || [401, 403, 404].includes(this.status);
  }

  /** Reads an error answer: RFC 9457 in Headway's envelope, or whatever a proxy sends. */
  static async from(r: Response): Promise<HeadwayError> {
    let message = r.statusText || `HTTP ${r.status}`;
    let type = `http_${r.status}`;
    let details: Record<string, unknown> = {};
    try {
      const p = (await r.json()) as {
        detail?: string;
        error?: { message?: string; type?: string; details?: Record<string, unknown> };
      };
      message = p.error?.message ?? p.detail ?? message;
      type = p.error?.type ?? type;
      details = p.error?.details ?? details;
    } catch {
      // not Headway's format: the status has to be enough
    }
    return new HeadwayError(message, { status: r.status, type, details, retryAfter: seconds(r) });
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

export function asError(e: unknown): Error {
  if (e instanceof HeadwayError) return e;
  const text = e instanceof Error ? e.message : String(e);
  return new HeadwayError(`no connection: ${text}`, { type: 'network', cause: e });
}
