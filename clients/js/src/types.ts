import type { components } from './openapi.gen.ts';

type Schemas = components['schemas'];

export type Snapshot = Schemas['Snapshot'];
export type Explanation = Schemas['Explanation'];
export type BatchList = Schemas['BatchList'];
export type Row = Schemas['Row'];
export type Counts = Schemas['Counts'];
export type Health = Schemas['Health'];
export type Status = Schemas['Status'];
export type ViewInfo = Schemas['ViewInfo'];
export type Tier = Schemas['TierDiagnostic'];
export type Job = Schemas['JobDiagnostic'];
/** Why something waits, failed or is in doubt. */
export type Cause = Schemas['Cause'];
/** The codes that this version knows, and any other: a later server may say one that isn't among them. */
export type CauseCode = Schemas['KnownCauseCode'] | (string & {});
/** A text with what it was made from, so that it can be said in another language or time zone. */
export type Message = Schemas['Message'];
/** Every schema that the server describes, by its name there. */
export type { Schemas };

export interface ListQuery {
  status?: Status | Status[];
  health?: Health | Health[];
  /** one of these */
  pipeline?: string | string[];
  /** all of these, by key */
  labels?: Record<string, string>;
  created_after?: Date | string;
  created_before?: Date | string;
  /** text in the id, name, pipeline, owner or a label */
  q?: string;
  sort?: 'newest' | 'need';
  /** 1 to 200 */
  limit?: number;
  /** `next_cursor` of the page before */
  cursor?: string | null;
}

export interface ClientOptions {
  /** Where the API is. In a page: its own origin, unless given. */
  url?: string;
  /** Default: the API's. */
  namespace?: string;
  /** Gives the credential. It is asked anew for each request and each reconnection. */
  token?: () => string | Promise<string>;
  fetch?: typeof fetch;
  /**
   * Whether tabs of one origin share a connection, where the browser can. What one of them receives the others show,
   * so all must have the same rights. Default: true without `token` (a cookie is the same in all tabs), else false.
   * A string shares only among those that give the same one, such as the user's id.
   */
  share?: boolean | string;
  /** How changes of a batch are sent: as JSON merge patches where these are smaller (`patch`, the default), or each whole. */
  format?: 'patch' | 'full';
}

export interface ConnectionState {
  /**
   * - `connecting`: not yet, or not again since the page was hidden
   * - `live`: what is shown is what is
   * - `behind`: connected, but the server's views lag; `staleSince` is the moment that they show
   * - `disconnected`: what is shown stays; tried again at `nextTry`, now if that is null
   * - `paused`: the page is hidden
   * - `ended`: the batch is finished
   * - `refused`: the server won't answer this; `error` tells why. Tried again at `nextTry`, never if that is null
   */
  readonly state: 'connecting' | 'live' | 'behind' | 'disconnected' | 'paused' | 'ended' | 'refused';
  /** Since when what is shown may be old; null while it isn't. */
  readonly staleSince: Date | null;
  readonly nextTry: Date | null;
  readonly error: Error | null;
}

/**
 * A live view. As an async iterable it yields the newest state whenever there is a newer one; who is slow skips. It ends
 * with the batch, throws what the server refused with, and closes the watch when the loop is left.
 */
export interface Watch<T> extends AsyncIterable<T> {
  readonly connection: ConnectionState;
  readonly latest: T | null;
  close(): void;
}

export interface WatchOptions {
  onConnection?(c: ConnectionState): void;
  /** Each failure, also one that will be tried again: see `connection`. */
  onError?(e: Error): void;
  signal?: AbortSignal;
}

export interface BatchWatchOptions extends WatchOptions {
  onSnapshot?(s: Snapshot): void;
  /** The health differs from the one shown before. */
  onHealth?(s: Snapshot, from: Health): void;
  onEnd?(s: Snapshot): void;
}

export interface ListWatchOptions extends WatchOptions {
  /** Only these batches, at most 100. */
  ids?: string[];
  /** The newest 200, at first and after each reconnection. */
  onSnapshot?(l: BatchList): void;
  /** What has changed since. */
  onRows?(rows: Row[]): void;
  onCounts?(c: Counts): void;
}
