import type { HeadwayError } from './errors.ts';
import type { components } from './openapi.gen.ts';

type Schemas = components['schemas'];

export type Snapshot = Schemas['Snapshot'];
export type Explanation = Schemas['Explanation'];
export type Proof = Schemas['Proof'];
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
/** The codes that this version knows, and any other string: a later server may send new ones. */
export type CauseCode = Schemas['KnownCauseCode'] | (string & {});
/** A text with its code and parameters, so that it can be rendered in another language or time zone. */
export type Message = Schemas['Message'];
/** Every schema of the API's description, by name. */
export type { Schemas };

export interface ListQuery {
  status?: Status | Status[];
  health?: Health | Health[];
  /** any of these */
  pipeline?: string | string[];
  /** any of these; an empty text: batches of nobody */
  owner?: string | string[];
  /** any of these codes */
  cause?: string | string[];
  /** what batches with the same cause have in common, as in a row's `alike` */
  alike?: string | string[];
  /** all of these, by key */
  labels?: Record<string, string>;
  created_after?: Date | string;
  created_before?: Date | string;
  /** text in the id, name, pipeline, owner or a label */
  q?: string;
  /** by a column: its name, with `-` before it the greatest first */
  sort?:
    | 'newest'
    | 'need'
    | `${'' | '-'}${'name' | 'pipeline' | 'owner' | 'progress' | 'started' | 'took' | 'expected'}`;
  /** 1 to 200 */
  limit?: number;
  /** `next_cursor` of the previous page */
  cursor?: string | null;
}

/** Batches that have something in common. */
export type BatchGroup = Schemas['BatchGroup'];
export type GroupList = Schemas['GroupList'];

export interface GroupQuery extends Omit<ListQuery, 'sort' | 'cursor'> {
  by?: 'cause' | 'pipeline' | 'owner';
}

/** Batches that have ended, and how far they were searched. */
export type FinishedList = Schemas['FinishedList'];
export type FinishedDays = Schemas['FinishedDays'];

/** Runs of a pipeline with their tiers. */
export type RunList = Schemas['RunList'];
export type Run = Schemas['Run'];

export interface RunQuery {
  /** At most 100; default 30. */
  limit?: number;
  cursor?: string | null;
}

/** The last seven days in UTC without `from` and `to`: days such as `2026-03-01`, both included, or moments. */
export interface DaysQuery {
  from?: Date | string;
  to?: Date | string;
}

export interface HistoryQuery extends DaysQuery, Omit<ListQuery, 'sort' | 'created_after' | 'created_before'> {}

export interface ClientOptions {
  /** URL of the API. Default in a page: its own origin. */
  url?: string;
  /** Default: the API's. */
  namespace?: string;
  /**
   * The credential: a key or token, or better a function that returns the present one. It is called for each request
   * and each reconnection. If a credential was refused or has ended, it is called once more, with the reason: what it
   * keeps is then of no use. A fixed credential that is refused ends the watches that need it.
   */
  token?: string | ((refused: HeadwayError | null) => string | Promise<string>);
  fetch?: typeof fetch;
  /**
   * Whether tabs of one origin share a connection, if the browser supports it. Each shows what any of them receives,
   * so all must have the same rights. Default: true without `token` (a cookie is the same in all tabs), else false.
   * With a string, only tabs with the same string share, such as the user's id.
   */
  share?: boolean | string;
  /**
   * How changes of a batch are sent: only the tiers, jobs and collections that changed (`rows`, the default), or always
   * as a whole, as an older server does in either case.
   */
  format?: 'rows' | 'full';
}

export interface ConnectionState {
  /**
   * - `connecting`: not connected yet, or not again since the page was hidden
   * - `live`: what is shown is current
   * - `waiting`: the server knows no such batch, and it is shown when it begins
   * - `behind`: connected, but the server's views lag; `staleSince` is the time that they show
   * - `disconnected`: the last state stays shown; the next attempt is at `nextTry`, or now if that is null
   * - `paused`: the page is hidden
   * - `ended`: the batch is finished
   * - `refused`: the server rejected the request; `error` says why. Retried at `nextTry`, never if that is null
   */
  readonly state: 'connecting' | 'live' | 'waiting' | 'behind' | 'disconnected' | 'paused' | 'ended' | 'refused';
  /** Since when what is shown may be outdated; null if it is current. */
  readonly staleSince: Date | null;
  readonly nextTry: Date | null;
  /** What went wrong, by `kind`, with what to do about it as `advice`. */
  readonly error: HeadwayError | null;
}

/**
 * A live view. As an async iterable it yields the newest state whenever there is a newer one; a slow consumer skips
 * states. The iteration ends with the batch, throws the error with which the server rejected it, and closes the watch
 * when the loop is left.
 */
export interface Watch<T> extends AsyncIterable<T> {
  readonly connection: ConnectionState;
  readonly latest: T | null;
  close(): void;
}

export interface WatchOptions {
  onConnection?(c: ConnectionState): void;
  /** Called for each failure, even one that will be retried: see `connection`. */
  onError?(e: HeadwayError): void;
  signal?: AbortSignal;
}

export interface BatchWatchOptions extends WatchOptions {
  onSnapshot?(s: Snapshot): void;
  /** Called when the health differs from the one shown before. */
  onHealth?(s: Snapshot, from: Health): void;
  onEnd?(s: Snapshot): void;
  /**
   * How many milliseconds to wait for a batch that nobody has heard of. Then the watch is closed with the state
   * `refused` and the error of type `not_found`. Default: no limit.
   */
  timeout?: number;
}

export interface ListWatchOptions extends WatchOptions {
  /** Only these batches, at most 100. */
  ids?: string[];
  /** Called with the newest 200 batches, at first and after each reconnection. */
  onSnapshot?(l: BatchList): void;
  /** Called with the rows that have changed. */
  onRows?(rows: Row[]): void;
  onCounts?(c: Counts): void;
}
