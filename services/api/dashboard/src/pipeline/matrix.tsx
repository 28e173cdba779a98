// Runs beside one another, tiers below one another. It is a table, which the arrow keys walk through.
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Run, RunTier } from '../api';
import { count, span } from '../lib/format';
import { type HealthWords, isOver, standing, statusMark } from '../lib/health';
import { waitedFor, words } from '../lib/reason';
import { batchPlace, href, type PipelinePlace } from '../lib/route';
import { moment } from '../lib/time';
import { Icon } from '../parts/icons';
import { told } from '../parts/told';
import { zone } from '../state/prefs';
import { begun } from '../state/runs';

/** So many tiers are shown at first. */
const fewTiers = 25;
/** A wait that is shorter, or a smaller part of the time, is said only on hovering. */
const notable = 10;

interface Props {
  runs: Run[];
  at: PipelinePlace;
  choose(id: string): void;
}

export function Matrix({ runs, at, choose }: Props) {
  const all = useSignal(false);
  /** The one cell that the Tab key stops at. Its run stays the same while earlier ones are added. */
  const here = useSignal<{ row: number; run: string | undefined }>({ row: 2, run: runs.at(-1)?.batch_id });
  const table = useRef<HTMLTableElement>(null);
  const scroller = useRef<HTMLElement>(null);
  const first = runs[0]?.batch_id;
  const last = runs.at(-1)?.batch_id;
  // The newest run is at the right, and seen first. Earlier ones are added at the left, without moving what is seen.
  const width = useRef(0);
  const newest = useRef('');
  useLayoutEffect(() => {
    const s = scroller.current;
    if (!s) return;
    if (last !== newest.current) s.scrollLeft = s.scrollWidth;
    else s.scrollLeft += s.scrollWidth - width.current;
    [width.current, newest.current] = [s.scrollWidth, last ?? ''];
  }, [first, last]);

  const numbers = [...new Set(runs.flatMap(r => r.tiers.map(t => t.tier_num)))].sort((a, b) => a - b);
  const shown = all.value ? numbers : numbers.slice(0, fewTiers);
  const rows = shown.length + 3;
  const row = Math.min(here.value.row, rows - 1);
  const found = runs.findIndex(r => r.batch_id === here.value.run);
  const column = found < 0 ? runs.length - 1 : found;
  const cell = (r: number, c: number) => ({
    'data-at': `${r} ${c}`,
    tabIndex: r === row && c === column ? 0 : -1,
    onFocus: () => {
      here.value = { row: r, run: runs[c]?.batch_id };
    },
  });
  /** From where one stands to the next cell that has something in it. */
  const walk = (down: number, right: number): void => {
    let [r, c] = [row + down, column + right];
    for (; r >= 0 && c >= 0 && r < rows && c < runs.length; r += down, c += right) {
      const to = table.current?.querySelector<HTMLElement>(`[data-at="${r} ${c}"]`);
      to?.focus();
      if (to) break;
    }
  };
  const keys: Record<string, () => void> = {
    ArrowUp: () => walk(-1, 0),
    ArrowDown: () => walk(1, 0),
    ArrowLeft: () => walk(0, -1),
    ArrowRight: () => walk(0, 1),
    Home: () => table.current?.querySelector<HTMLElement>(`[data-at^="${row} "]`)?.focus(),
    End: () => [...(table.current?.querySelectorAll<HTMLElement>(`[data-at^="${row} "]`) ?? [])].at(-1)?.focus(),
    ' ': () => {
      const run = runs[column];
      if (run) choose(run.batch_id);
    },
  };
  return (
    <section aria-labelledby="runs">
      <h2 id="runs">Runs</h2>
      <p class="soft" id="how">
        The newest at the right. Arrow keys move, Enter opens, Space chooses a run to compare: two stand side by side
        below.
      </p>
      <section class="matrix scrolls" ref={scroller} aria-label="Runs by tier">
        <table
          role="grid"
          aria-labelledby="runs"
          aria-describedby="how"
          ref={table}
          onKeyDown={e => {
            const f = keys[e.key];
            if (!f || e.ctrlKey || e.metaKey || e.altKey) return;
            e.preventDefault();
            f();
          }}
        >
          <thead>
            <tr>
              <th scope="col">Run</th>
              {runs.map((r, c) => (
                <th key={r.batch_id} scope="col" data-run={r.batch_id}>
                  <a href={href(batchPlace(at.namespace, r.batch_id))} data-app title={r.batch_name} {...cell(0, c)}>
                    {moment(new Date(begun(r)), new Date(), zone.value, false)}
                    <span class="offscreen">: {r.batch_name}</span>
                  </a>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <tr>
              <th scope="row">Compare</th>
              {runs.map((r, c) => (
                <td key={r.batch_id}>
                  <label class="choice">
                    <span class="offscreen">Compare {r.batch_name}</span>
                    <input
                      type="checkbox"
                      checked={at.compare.includes(r.batch_id)}
                      onChange={() => choose(r.batch_id)}
                      {...cell(1, c)}
                    />
                  </label>
                </td>
              ))}
            </tr>
            <tr class="run-whole">
              <th scope="row">In all</th>
              {runs.map((r, c) => (
                <td key={r.batch_id}>
                  <Cell
                    stands={standing(r)}
                    seconds={r.duration_seconds}
                    over={isOver(r.status)}
                    wait={r.queue_seconds > 0 ? ['Ray', r.queue_seconds] : null}
                    why={r.sentence}
                    to={href(batchPlace(at.namespace, r.batch_id))}
                    cell={cell(2, c)}
                  />
                </td>
              ))}
            </tr>
            {shown.map((n, i) => (
              <tr key={n}>
                <th scope="row">Tier {n + 1}</th>
                {runs.map((r, c) => {
                  const t = r.tiers.find(o => o.tier_num === n);
                  const w = t?.waits[0];
                  return (
                    <td key={r.batch_id}>
                      {t ? (
                        <Cell
                          stands={tierStands(t, r)}
                          seconds={t.duration_seconds}
                          over={isOver(t.status) || isOver(r.status)}
                          wait={w ? [waitedFor(w.phase), w.seconds] : null}
                          why={t.sentence}
                          to={href({ ...batchPlace(at.namespace, r.batch_id), tier: n })}
                          cell={cell(i + 3, c)}
                        />
                      ) : (
                        <span class="soft">
                          <span aria-hidden="true">–</span>
                          <span class="offscreen">not there</span>
                        </span>
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <Legend />
      {numbers.length > shown.length ? (
        <button type="button" onClick={() => (all.value = true)}>
          All {count(numbers.length)} tiers
        </button>
      ) : null}
      {runs.some(r => r.tiers.length >= 100 && r.total_tiers > r.tiers.length) ? (
        <p class="soft">Only the first 100 tiers are shown; a run has all of its own.</p>
      ) : null}
    </section>
  );
}

/** A tier as its status says, and as its batch stands while it is what the batch is stuck at. */
function tierStands(t: RunTier, r: Run): HealthWords {
  if (!isOver(t.status) && r.health === 'stuck' && t.cause !== null && t.cause === r.cause)
    return { mark: 'stuck', word: 'Stuck' };
  return { mark: statusMark(t.status), word: words(t.status) };
}

interface CellProps {
  stands: HealthWords;
  seconds: number | null;
  over: boolean;
  /** What was waited for longest, and how long. */
  wait: [what: string, seconds: number] | null;
  why: string | null;
  to: string;
  cell: Record<string, unknown>;
}

function Cell({ stands: { mark, word }, seconds, over, wait, why, to, cell }: CellProps) {
  const took = seconds === null ? '' : `${span(seconds)}${over ? '' : ' so far'}`;
  const waited = wait ? `waited ${span(wait[1])} for ${wait[0]}` : '';
  const long = wait !== null && wait[1] >= notable && wait[1] >= 0.1 * (seconds ?? 0);
  return (
    <a
      class={`cell ${mark}`}
      href={to}
      data-app
      data-outcome={word}
      title={[word, took, waited, why ? told(why) : ''].filter(Boolean).join(' · ')}
      {...cell}
    >
      <span class="took">
        <Icon mark={mark} size={13} />
        {took ? <span class="offscreen">{word} </span> : null}
        {took || word}
      </span>
      {wait && long ? (
        <span class="waited">
          {span(wait[1])} for {wait[0]}
          <span class="offscreen"> waited</span>
        </span>
      ) : null}
    </a>
  );
}

const legend: [HealthWords['mark'], string][] = [
  ['ok', 'completed'],
  ['scaling', 'in progress'],
  ['degraded', 'with errors'],
  ['stuck', 'failed or stuck'],
  ['pending', 'not begun'],
  ['unknown', 'skipped or canceled'],
];

function Legend(): ComponentChildren {
  return (
    <ul class="legend">
      {legend.map(([mark, word]) => (
        <li key={word}>
          <Icon mark={mark} size={13} />
          <span>{word}</span>
        </li>
      ))}
      <li>below a time: what was waited for longest, if it was a tenth of it or more</li>
    </ul>
  );
}
