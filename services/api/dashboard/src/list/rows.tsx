// The rows on screen, of however many there are.
import { type ReadonlySignal, type Signal, useSignal } from '@preact/signals';
import { memo } from 'preact/compat';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Row } from '../api';
import { because } from '../lib/cause';
import { type Column, type Head, heads, took, usual } from '../lib/columns';
import { percent, span, spanShort } from '../lib/format';
import { type HealthWords, isOver, standing } from '../lib/health';
import type { ListPlace } from '../lib/route';
import { spark, sparkWords } from '../lib/spark';
import { tierOf } from '../lib/tier';
import { parse, range } from '../lib/time';
import { indexes, visible } from '../lib/window';
import { Bar, PipelineLink, Time } from '../parts/bits';
import { MarkWord } from '../parts/icons';
import { when } from '../parts/told';
import type { ListStore } from '../state/list';
import { density, zone } from '../state/prefs';
import { go, place } from '../state/router';

const overscan = 6;
const narrow = matchMedia('(max-width: 46rem)');
const heights = { usual: 58, compact: 28, narrow: 108 };
const heightNow = (): number => (narrow.matches ? heights.narrow : heights[density.value]);

interface Props {
  store: ListStore;
  at: ListPlace;
  total: number | null;
  focused: Signal<number | null>;
  open: (id: string) => void;
  link: (id: string) => string;
}

export function Rows({ store, at, total, focused, link }: Props) {
  const body = useRef<HTMLDivElement>(null);
  const view = useSignal({ scrolled: 0, height: 800, row: heightNow() });
  const columns = at.columns ?? usual;
  useLayoutEffect(() => {
    let asked = false;
    const measure = (): void => {
      asked = false;
      const top = body.current?.getBoundingClientRect().top ?? 0;
      const row = heightNow();
      // Rounded to a row: scrolling by a pixel draws nothing anew.
      const scrolled = Math.floor(Math.max(0, -top) / row) * row;
      const was = view.peek();
      if (was.scrolled !== scrolled || was.height !== innerHeight || was.row !== row)
        view.value = { scrolled, height: innerHeight, row };
      store.scrolled = scrollY;
    };
    const ask = (): void => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(measure);
    };
    if (store.scrolled > 0) scrollTo(0, store.scrolled);
    measure();
    addEventListener('scroll', ask, { passive: true });
    addEventListener('resize', ask);
    return () => {
      removeEventListener('scroll', ask);
      removeEventListener('resize', ask);
    };
  }, [store, view, density.value]);

  const order = store.order.value;
  const { scrolled, height, row } = view.value;
  // Without a known total there is one more page to scroll into, as long as there is more.
  const length = Math.max(order.length, store.complete.value ? 0 : (total ?? order.length + 20));
  const w = visible(length, row, scrolled, height, overscan);
  useEffect(() => {
    if (!store.complete.value && w.to > order.length - 40) store.reach(w.to + 40);
  });
  useFocus(body, focused.value, row);
  return (
    <div
      class={`list ${density.value} ${at.columns ? 'chosen' : ''}`}
      role="table"
      aria-label="Batches"
      aria-rowcount={length + 1}
      aria-busy={order.length === 0}
      style={{
        '--columns': ['1.4rem', heads.health.width, heads.name.width, ...columns.map(c => heads[c].width)].join(' '),
      }}
    >
      <div role="rowgroup" class="head">
        <div role="row" aria-rowindex={1}>
          <span role="columnheader">
            <span class="offscreen">Selected</span>
          </span>
          {(['health', 'name', ...columns] as const).map(c => (
            <Header key={c} head={heads[c]} at={at} column={c} />
          ))}
        </div>
      </div>
      <div role="rowgroup" class="rows" ref={body} style={{ height: `${length * row}px` }}>
        {indexes(w, focused.value, length).map(i => {
          const id = order[i];
          const r = id === undefined ? undefined : store.row(id);
          return id !== undefined && r ? (
            <Line
              key={id}
              row={r}
              index={i}
              top={i * row}
              to={link(id)}
              now={store.now}
              focus={focused}
              columns={columns}
              ticked={store.chosen.value.includes(id)}
              tick={store.choose}
            />
          ) : (
            <div
              key={`blank ${i}`}
              class="row blank"
              role="row"
              aria-rowindex={i + 2}
              style={{ transform: `translateY(${i * row}px)` }}
            >
              <span role="cell">…</span>
            </div>
          );
        })}
      </div>
    </div>
  );
}

/** A column's name; it sorts where the server can. */
function Header({ head, at, column }: { head: Head; at: ListPlace; column: string }) {
  const [first, second] = head.sorts;
  if (!first)
    return (
      <span role="columnheader" class={column}>
        {head.label}
      </span>
    );
  const now = at.sort === first ? 0 : at.sort === second ? 1 : -1;
  const down = at.sort.startsWith('-') || at.sort === 'newest' || at.sort === 'need';
  return (
    <span role="columnheader" class={column} aria-sort={now < 0 ? undefined : down ? 'descending' : 'ascending'}>
      <button type="button" class="sort" onClick={() => go({ ...at, sort: now === 0 && second ? second : first })}>
        {head.label}
        {now < 0 ? null : <span aria-hidden="true">{down ? ' ↓' : ' ↑'}</span>}
      </button>
    </span>
  );
}

/** Brings the focused row into sight and gives it the focus. */
function useFocus(body: { current: HTMLDivElement | null }, index: number | null, row: number): void {
  useLayoutEffect(() => {
    if (index === null) return;
    const link = body.current?.querySelector<HTMLElement>(`[aria-rowindex="${index + 2}"] .name a`);
    if (!link || document.activeElement === link) return;
    link.focus({ preventScroll: true });
    const top = (body.current?.getBoundingClientRect().top ?? 0) + index * row;
    const head = document.querySelector('.list .head')?.getBoundingClientRect().bottom ?? 0;
    if (top < head) scrollBy(0, top - head - 4);
    else if (top + row > innerHeight) scrollBy(0, top + row - innerHeight + 8);
  }, [index, row, body]);
}

interface LineProps {
  row: Signal<Row>;
  index: number;
  top: number;
  to: string;
  now: ReadonlySignal<number>;
  focus: Signal<number | null>;
  columns: readonly Column[];
  ticked: boolean;
  tick: (id: string) => void;
}

const Line = memo(function Line({ row, index, top, to, now, focus, columns, ticked, tick }: LineProps) {
  const r = row.value;
  const h = standing(r);
  const over = isOver(r.status);
  return (
    <div
      class={`row ${h.mark}`}
      role="row"
      aria-rowindex={index + 2}
      style={{ transform: `translateY(${top}px)` }}
      data-id={r.batch_id}
      data-health={r.health}
    >
      <span role="cell" class="select">
        <label>
          <span class="offscreen">Select {r.batch_name}</span>
          <input type="checkbox" checked={ticked} onChange={() => tick(r.batch_id)} tabIndex={-1} />
        </label>
      </span>
      <span role="cell" class="health">
        <MarkWord mark={h.mark} word={h.word} />
      </span>
      <span role="cell" class="name">
        <a href={to} data-app onFocus={() => (focus.value = index)}>
          {r.batch_name}
        </a>
        <span class="cause" title={`${r.cause ? `${r.cause}: ` : ''}${because(r, when)}`} data-code={r.cause}>
          {because(r, when)}
        </span>
      </span>
      {columns.map(c => (
        <Cell key={c} column={c} r={r} h={h} over={over} now={now} />
      ))}
    </div>
  );
});

function Cell({
  column,
  r,
  h,
  over,
  now,
}: {
  column: Column;
  r: Row;
  h: HealthWords;
  over: boolean;
  now: ReadonlySignal<number>;
}) {
  switch (column) {
    case 'tier':
      return (
        <span role="cell" class="tier">
          {r.total_tiers > 0 ? (
            <>
              <span class="offscreen">Tier </span>
              {tierOf(r.current_tier, r.total_tiers, r.status)}
            </>
          ) : (
            <None />
          )}
        </span>
      );
    case 'progress':
      return (
        <span role="cell" class="progress">
          <Bar value={r.overall_progress} tone={h.mark} />
          <span class="n">{percent(r.overall_progress)}</span>
        </span>
      );
    case 'pace':
      return (
        <span role="cell" class="pace">
          <Sparkline values={r.spark} over={over} />
        </span>
      );
    case 'eta':
      return (
        <span role="cell" class="eta">
          <Expected row={r} now={now} />
        </span>
      );
    case 'pipeline':
      return (
        <span role="cell" class="text">
          {r.pipeline ? <PipelineLink namespace={place.value.namespace} name={r.pipeline} /> : <None />}
        </span>
      );
    case 'owner':
      return (
        <span role="cell" class="text" title={r.owner ?? ''}>
          {r.owner ?? <None />}
        </span>
      );
    case 'started':
      return (
        <span role="cell" class="started">
          {r.started_at ? <Time at={r.started_at} /> : <None />}
        </span>
      );
    case 'took':
      return (
        <span role="cell" class="took">
          <Took row={r} over={over} now={now} />
        </span>
      );
    case 'age':
      return (
        <span role="cell" class="age" title={r.ordered_at}>
          <Age from={r.ordered_at} now={now} />
        </span>
      );
  }
}

const None = () => <span class="soft">–</span>;

function Took({ row, over, now }: { row: Row; over: boolean; now: ReadonlySignal<number> }) {
  if (!row.started_at) return <None />;
  if (over) return <>{span(took(row) ?? 0)}</>;
  return <span class="soft">{span((now.value - Date.parse(row.started_at)) / 1000)} so far</span>;
}

function Age({ from, now }: { from: string; now: ReadonlySignal<number> }) {
  return <>{spanShort((now.value - Date.parse(from)) / 1000)}</>;
}

function Expected({ row, now }: { row: Row; now: ReadonlySignal<number> }) {
  const ended = parse(row.completed_at);
  if (ended)
    return (
      <span class="soft" title={ended.toISOString()}>
        ended {range(ended, ended, new Date(now.value), zone.value)}
      </span>
    );
  const from = parse(row.eta?.p50);
  const to = parse(row.eta?.p90);
  if (!from || !to) return <span class="soft">–</span>;
  return (
    <span title={`${from.toISOString()} to ${to.toISOString()}`}>
      {range(from, to, new Date(now.value), zone.value)}
    </span>
  );
}

function Sparkline({ values, over }: { values: number[]; over: boolean }) {
  const s = spark(values, 96, 24);
  if (!s) return <span class="soft">–</span>;
  return (
    <svg
      class={`spark ${over ? 'over' : ''}`}
      width="96"
      height="24"
      viewBox="0 0 96 24"
      role="img"
      aria-label={sparkWords(values)}
    >
      <path class="area" d={s.area} />
      <path class="line" d={s.line} />
      {over ? null : <circle cx={s.x - 1.5} cy={s.y} r="2" />}
    </svg>
  );
}
