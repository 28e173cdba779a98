// One open batch: its newest snapshot, the state of its connection, and a clock that stands still when those do.
import { type ConnectionState, connecting, type HeadwayError } from '@headway/client';
import { computed, type ReadonlySignal, signal } from '@preact/signals';
import type { Snapshot } from '../api';
import { verdict } from '../lib/verdict';
import { say } from './announce';
import { client } from './client';
import { second } from './clock';
import { refused } from './session';

const waiting: ConnectionState = { state: 'waiting', staleSince: null, nextTry: null, error: null };

/**
 * Forbidden and not there look alike, on purpose. The client tries both again until there is something to show. A role
 * that is missing is missing for every batch, so that tells nothing about this one.
 */
function hidden(e: HeadwayError | null): boolean {
  return e !== null && (e.status === 403 || e.status === 404) && e.type !== 'role_missing';
}

export class BatchStore {
  readonly snapshot = signal<Snapshot | null>(null);
  readonly connection = signal<ConnectionState>(connecting);
  readonly id: string;
  readonly namespace: string;
  private stop = new AbortController();
  private received = 0; // of the snapshot, by this page's clock
  private frozen = 0;

  /** The moment that the page shows: the server's, run on from its answer; frozen while that may be old. */
  readonly now: ReadonlySignal<number>;

  constructor(namespace: string, id: string) {
    this.id = id;
    this.namespace = namespace;
    this.now = computed(() => {
      const s = this.snapshot.value;
      const c = this.connection.value;
      const present = second.value;
      if (!s) return present;
      const asOf = Date.parse(s.view.as_of);
      if (c.state === 'behind') return c.staleSince?.getTime() ?? asOf;
      if (c.state === 'live' || c.state === 'ended') this.frozen = asOf + Math.max(0, present - this.received);
      return Math.max(this.frozen, asOf);
    });
  }

  open(): void {
    this.stop = new AbortController();
    client(this.namespace).watchBatch(this.id, {
      signal: this.stop.signal,
      onSnapshot: s => {
        this.received = Date.now();
        this.snapshot.value = s;
      },
      onHealth: s => {
        const v = verdict(s, Date.parse(s.view.as_of));
        say(`${s.batch_name}: ${v.word}. ${v.says}`);
      },
      onConnection: c => {
        refused(c.error);
        if (c.error?.kind === 'erased') this.snapshot.value = null;
        this.connection.value = !this.snapshot.value && hidden(c.error) ? waiting : c;
      },
    });
  }

  close(): void {
    this.stop.abort();
  }

  /** Why there is nothing to show. */
  readonly missing = computed<'awaited' | 'refused' | 'rebuilding' | 'bad' | 'erased' | null>(() => {
    if (this.snapshot.value) return null;
    const c = this.connection.value;
    const e = c.error;
    if (c.state === 'waiting') return 'awaited';
    if (!e) return null;
    if (e.status === 401 || e.type === 'role_missing') return 'refused';
    if (e.status === 400) return 'bad';
    if (e.kind === 'erased') return 'erased';
    if (e.type === 'views_rebuilding' || e.type === 'views_stale' || e.type === 'backend_timeout') return 'rebuilding';
    return null;
  });
}
