// Two runs side by side, with what differs first.
import { HeadwayError } from '@headway/client';
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Run, Snapshot } from '../api';
import { alikeWithin, type Comparison, compare } from '../lib/compare';
import { plural } from '../lib/format';
import { batchPlace, href, type PipelinePlace } from '../lib/route';
import * as says from '../lib/texts';
import { Time } from '../parts/bits';
import { told } from '../parts/told';
import { client } from '../state/client';
import { begun } from '../state/runs';
import { refused } from '../state/session';

/** Tiers that are compared. */
const mostTiers = 100;

interface Pair {
  a: Snapshot;
  b: Snapshot;
}

const startOf = (s: Snapshot): string => s.started_at ?? s.created_at ?? s.submitted_at ?? '';

/** Reads both whenever another one is chosen, and while one of them goes on with each reading of the runs. */
function usePair(at: PipelinePlace, going: string): { pair: Pair | null; failed: string } {
  const pair = useSignal<Pair | null>(null);
  const failed = useSignal('');
  const key = at.compare.length === 2 ? JSON.stringify(at.compare) : '';
  useEffect(() => {
    pair.value = null;
    failed.value = '';
  }, [key, at.namespace]);
  useEffect(() => {
    if (!key) return;
    const stop = new AbortController();
    const read = (id: string): Promise<Snapshot> =>
      client(at.namespace).diagnostics(id, { tiersLimit: mostTiers, signal: stop.signal });
    Promise.all((JSON.parse(key) as string[]).map(read)).then(
      ([x, y]) => {
        if (stop.signal.aborted || !x || !y) return;
        failed.value = '';
        pair.value = startOf(x) <= startOf(y) ? { a: x, b: y } : { a: y, b: x };
      },
      e => {
        if (stop.signal.aborted) return;
        if (e instanceof HeadwayError) refused(e);
        failed.value = e instanceof Error ? e.message : String(e);
      },
    );
    return () => stop.abort();
  }, [key, at.namespace, going]);
  return { pair: pair.value, failed: failed.value };
}

export function Compared({ at, runs, readAt }: { at: PipelinePlace; runs: Run[]; readAt: Date | null }) {
  const goes = runs.some(r => at.compare.includes(r.batch_id) && !r.completed_at);
  const { pair, failed } = usePair(at, goes ? String(readAt?.getTime()) : '');
  if (at.compare.length === 0) return null;
  return (
    <section class="compared" aria-labelledby="compared" data-compared={pair ? 'shown' : 'asking'}>
      <h2 id="compared">Side by side</h2>
      {at.compare.length === 1 ? (
        <p class="soft">
          {plural(1, 'run')} is chosen: {nameOf(at.compare[0] ?? '', runs)}. Choose another one.
        </p>
      ) : failed ? (
        <p class="notice stuck" role="alert">
          {failed}
        </p>
      ) : pair ? (
        <Sides at={at} {...pair} />
      ) : (
        <p class="soft">{says.reading}</p>
      )}
    </section>
  );
}

function nameOf(id: string, runs: Run[]): string {
  const r = runs.find(o => o.batch_id === id);
  return r ? `${r.batch_name}, ${new Date(begun(r)).toISOString().slice(0, 10)}` : id;
}

function Sides({ at, a, b }: Pair & { at: PipelinePlace }) {
  const all = compare(a, b);
  const differing = all.filter(c => c.differs);
  const same = all.filter(c => !c.differs);
  return (
    <>
      <p class="soft">
        Times and counts that are within {alikeWithin * 100} % of each other count as the same.{' '}
        <a href={href({ ...at, compare: [] })} data-app>
          Choose others
        </a>
      </p>
      <Table at={at} a={a} b={b} rows={differing} caption={differing.length ? 'What differs' : 'Nothing differs'} />
      {same.length > 0 ? (
        <details>
          <summary>{plural(same.length, 'thing')} the same</summary>
          <Table at={at} a={a} b={b} rows={same} caption="What is the same" />
        </details>
      ) : null}
    </>
  );
}

function Table({ at, a, b, rows, caption }: Pair & { at: PipelinePlace; rows: Comparison[]; caption: string }) {
  return (
    <div class="wide scrolls" tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            <th scope="col">What</th>
            {[a, b].map(s => (
              <th key={s.batch_id} scope="col">
                <a href={href(batchPlace(at.namespace, s.batch_id))} data-app>
                  {a.batch_name === b.batch_name ? s.batch_id : s.batch_name}
                </a>{' '}
                <Time at={startOf(s)} />
              </th>
            ))}
            <th scope="col">From the first to the second</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(c => (
            <tr key={c.what} data-differs={c.differs}>
              <th scope="row">{c.what}</th>
              <td>{c.a === null ? <None /> : told(c.a)}</td>
              <td>{c.b === null ? <None /> : told(c.b)}</td>
              <td class="soft">{c.change}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const None = () => <span class="soft">–</span>;
