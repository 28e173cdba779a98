// The runs of a pipeline: read again while the page is looked at, since no stream has them.
import { type ConnectionState, HeadwayError } from '@headway/client';
import { signal } from '@preact/signals';
import type { Run } from '../api';
import { client } from './client';
import { refused } from './session';

/** Seconds until they are read again, while one goes on and otherwise. */
const soon = 15;
const later = 60;
const page = 30;
/** More than this isn't shown at once. */
export const mostRuns = 200;

export class RunsStore {
  /** The oldest first; null before the first answer. */
  readonly runs = signal<Run[] | null>(null);
  readonly next = signal<string | null>(null);
  /** How far back ended runs were searched. */
  readonly searched = signal<string>('');
  readonly active = signal(0);
  readonly incomplete = signal<string[] | null>(null);
  readonly error = signal<HeadwayError | null>(null);
  /** Why what is shown may be old; null: it was read a moment ago. */
  readonly connection = signal<ConnectionState | null>(null);
  readonly readAt = signal<Date | null>(null);
  readonly busy = signal(true);
  private stop = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private earlier = false;
  readonly namespace: string;
  readonly name: string;

  constructor(namespace: string, name: string) {
    this.namespace = namespace;
    this.name = name;
  }

  open(): void {
    this.stop = new AbortController();
    document.addEventListener('visibilitychange', this.look);
    void this.read();
  }

  close(): void {
    this.stop.abort();
    clearTimeout(this.timer);
    document.removeEventListener('visibilitychange', this.look);
  }

  private look = (): void => {
    if (!document.hidden) void this.read();
  };

  /** Reads the newest runs; those that were read before them stay. */
  private async read(): Promise<void> {
    clearTimeout(this.timer);
    const mine = this.stop;
    try {
      const answer = await client(this.namespace).runs(this.name, { limit: page }, { signal: mine.signal });
      if (mine.signal.aborted) return;
      this.merge(answer.runs);
      this.active.value = answer.active;
      this.incomplete.value = answer.incomplete
        ? ((answer.incomplete_reasons ?? []) as { message: string }[]).map(r => r.message)
        : null;
      if (!this.earlier) {
        this.next.value = answer.next_cursor;
        this.searched.value = answer.searched.from;
      }
      this.readAt.value = new Date();
      this.error.value = null;
      this.connection.value = null;
    } catch (e) {
      if (mine.signal.aborted) return;
      this.failed(e);
    }
    this.busy.value = false;
    if (!document.hidden)
      this.timer = setTimeout(
        () => void this.read(),
        1000 * (this.active.value > 0 || this.connection.value ? soon : later),
      );
  }

  /** Reads the runs before the oldest that is shown. */
  readonly more = async (): Promise<void> => {
    const cursor = this.next.value;
    if (!cursor || this.busy.value) return;
    const mine = this.stop;
    this.busy.value = true;
    try {
      const answer = await client(this.namespace).runs(this.name, { limit: page, cursor }, { signal: mine.signal });
      if (mine.signal.aborted) return;
      this.earlier = true;
      this.merge(answer.runs);
      this.next.value = answer.next_cursor;
      this.searched.value = answer.searched.from;
    } catch (e) {
      if (mine.signal.aborted) return;
      this.failed(e);
    }
    this.busy.value = false;
  };

  private merge(runs: Run[]): void {
    const all = new Map((this.runs.value ?? []).map(r => [r.batch_id, r]));
    for (const r of runs) all.set(r.batch_id, r);
    this.runs.value = [...all.values()].sort((a, b) => begun(a) - begun(b) || (a.batch_id < b.batch_id ? -1 : 1));
  }

  private failed(e: unknown): void {
    const error = e instanceof HeadwayError ? e : null;
    refused(error);
    this.error.value = error;
    this.connection.value = {
      state: error && !error.passes ? 'refused' : 'disconnected',
      staleSince: this.readAt.value,
      nextTry: new Date(Date.now() + 1000 * soon),
      error,
    };
  }
}

export const begun = (r: Run): number => Date.parse(r.started_at ?? r.ordered_at);
