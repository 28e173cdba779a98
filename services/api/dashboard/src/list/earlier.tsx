// Batches that have ended, also those that the list no longer has: counted by day, and searched as far as the server says.
import { HeadwayError, type Schemas } from '@headway/client';
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { count, plural } from '../lib/format';
import { words } from '../lib/reason';
import { batchPlace, href } from '../lib/route';
import { finishedNone, reading } from '../lib/texts';
import { PipelineLink, Time } from '../parts/bits';
import { client } from '../state/client';
import { refused } from '../state/session';

const outcomes = ['COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED', 'SKIPPED'] as const;

interface Asked {
  /** Days in UTC, both included. */
  from: string;
  to: string;
  q: string;
  outcome: '' | (typeof outcomes)[number];
}

interface Found {
  rows: Schemas['Row'][];
  next: string | null;
  searched: Schemas['FinishedList']['searched'] | null;
  examined: number;
}

const nothing: Found = { rows: [], next: null, searched: null, examined: 0 };
const dayOf = (t: Date): string => t.toISOString().slice(0, 10);
const lastDays = (n: number): Asked => ({
  from: dayOf(new Date(Date.now() - (n - 1) * 86_400_000)),
  to: dayOf(new Date()),
  q: '',
  outcome: '',
});

/** It asks the server only once it is opened. */
export function Earlier({ namespace }: { namespace: string }) {
  const open = useSignal(false);
  return (
    <details class="earlier" data-earlier onToggle={e => (open.value = e.currentTarget.open)}>
      <summary>Finished earlier</summary>
      {open.value ? <History namespace={namespace} /> : null}
    </details>
  );
}

function History({ namespace }: { namespace: string }) {
  const asked = useSignal<Asked>(lastDays(7));
  const days = useSignal<Schemas['FinishedDays']['days']>([]);
  const found = useSignal<Found>(nothing);
  const busy = useSignal(true);
  const failed = useSignal('');
  const stop = useRef(new AbortController());

  const load = async (more: boolean): Promise<void> => {
    stop.current.abort();
    const mine = new AbortController();
    stop.current = mine;
    const { from, to, q, outcome } = asked.value;
    const before = more ? found.value : nothing;
    busy.value = true;
    failed.value = '';
    if (!more) found.value = nothing;
    try {
      const [page, counted] = await Promise.all([
        client(namespace).history(
          { from, to, q, ...(outcome ? { status: outcome } : {}), ...(more ? { cursor: before.next } : {}) },
          { signal: mine.signal },
        ),
        more ? null : client(namespace).historyDays({ from, to }, { signal: mine.signal }),
      ]);
      if (mine.signal.aborted) return;
      if (counted) days.value = counted.days;
      found.value = {
        rows: [...before.rows, ...page.batches],
        next: page.next_cursor,
        searched: page.searched,
        examined: before.examined + page.searched.examined,
      };
    } catch (e) {
      if (mine.signal.aborted) return;
      if (e instanceof HeadwayError) refused(e);
      failed.value = e instanceof Error ? e.message : String(e);
    }
    busy.value = false;
  };
  useEffect(() => {
    void load(false);
    return () => stop.current.abort();
  }, [namespace]);
  const ask = (change: Partial<Asked>): void => {
    asked.value = { ...asked.value, ...change };
    void load(false);
  };

  const at = asked.value;
  const { rows, next, searched, examined } = found.value;
  return (
    <>
      <form
        class="asked"
        onSubmit={e => {
          e.preventDefault();
          const f = new FormData(e.currentTarget);
          const of = (name: string): string => String(f.get(name) ?? '');
          ask({ from: of('from'), to: of('to'), q: of('q'), outcome: of('outcome') as Asked['outcome'] });
        }}
      >
        <label>
          From <input type="date" name="from" value={at.from} required />
        </label>
        <label>
          to <input type="date" name="to" value={at.to} required /> <span class="soft">UTC</span>
        </label>
        <label>
          <span class="offscreen">Outcome</span>
          <select name="outcome" value={at.outcome}>
            <option value="">any outcome</option>
            {outcomes.map(o => (
              <option key={o} value={o}>
                {words(o)}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span class="offscreen">Search finished batches by id, name, pipeline, owner or label</span>
          <input type="text" name="q" value={at.q} maxLength={200} placeholder="Id, name, pipeline, owner or label" />
        </label>
        <button type="submit">Search</button>
      </form>
      {failed.value ? (
        <p class="notice stuck" role="alert" data-earlier-failed>
          {failed.value}
        </p>
      ) : null}
      <Days days={days.value} pick={day => ask({ from: day, to: day })} />
      {rows.length > 0 ? (
        <table class="finished">
          <caption class="offscreen">Finished batches, the latest first</caption>
          <thead>
            <tr>
              <th scope="col">Batch</th>
              <th scope="col">Outcome</th>
              <th scope="col">Pipeline</th>
              <th scope="col">Ended</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(r => (
              <tr key={r.batch_id} data-finished={r.batch_id}>
                <td>
                  <a href={href(batchPlace(namespace, r.batch_id))} data-app>
                    {r.batch_name || r.batch_id}
                  </a>
                </td>
                <td title={r.sentence ?? ''}>{words(r.status)}</td>
                <td>{r.pipeline ? <PipelineLink namespace={namespace} name={r.pipeline} /> : '–'}</td>
                <td>
                  <Time at={r.completed_at ?? r.last_activity_at} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
      <p class="soft" role="status" data-searched>
        {busy.value
          ? reading
          : searched && next
            ? `${plural(rows.length, 'batch', 'batches')} so far: searched back to ${searched.from.slice(0, 16).replace('T', ' ')} UTC, ${count(examined)} looked at.`
            : searched
              ? rows.length > 0
                ? `${plural(rows.length, 'batch', 'batches')}. All of these days were searched.`
                : finishedNone
              : ''}
      </p>
      {next && !busy.value ? (
        <button type="button" onClick={() => void load(true)}>
          Search further back
        </button>
      ) : null}
    </>
  );
}

/** A bar for each day, which is also a table; a day can be picked. */
function Days({ days, pick }: { days: Schemas['FinishedDays']['days']; pick: (day: string) => void }) {
  const most = Math.max(1, ...days.map(d => d.finished));
  if (days.length === 0) return null;
  return (
    <section
      class="days scrolls"
      tabIndex={0}
      aria-label="Finished batches of each day, in UTC, whatever is searched for"
    >
      <table>
        <thead class="offscreen">
          <tr>
            <th scope="col">Day</th>
            <th scope="col">Finished batches</th>
          </tr>
        </thead>
        <tbody>
          {days.map(d => (
            <tr key={d.day} data-day={d.day}>
              <th scope="row">
                <button type="button" class="quiet" title="Only this day" onClick={() => pick(d.day)}>
                  {d.day}
                </button>
              </th>
              <td>
                <svg width="160" height="10" viewBox="0 0 160 10" aria-hidden="true">
                  <rect width={d.finished === 0 ? 0 : Math.max(2, (160 * d.finished) / most)} height="10" rx="2" />
                </svg>
                <span class="n">{count(d.finished)}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
