// The rows on screen, of however many there are.
import { type ReadonlySignal, type Signal, useSignal } from '@preact/signals';
import { memo } from 'preact/compat';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Row } from '../api';
import { because } from '../lib/cause';
import { percent, spanShort } from '../lib/format';
import { healthWords, isOver } from '../lib/health';
import { words } from '../lib/reason';
import { spark, sparkWords } from '../lib/spark';
import { parse, range } from '../lib/time';
import { indexes, visible } from '../lib/window';
import { Bar } from '../parts/bits';
import { MarkWord } from '../parts/icons';
import { when } from '../parts/told';
import type { ListStore } from '../state/list';
import { zone } from '../state/prefs';

const overscan = 6;
const narrow = matchMedia('(max-width: 46rem)');
const heights = { wide: 58, narrow: 108 };

interface Props {
  store: ListStore;
  total: number | null;
  focused: Signal<number | null>;
  open: (id: string) => void;
  link: (id: string) => string;
}

export function Rows({ store, total, focused, link }: Props) {
  const body = useRef<HTMLDivElement>(null);
  const view = useSignal({ scrolled: 0, height: 800, row: narrow.matches ? heights.narrow : heights.wide });
  useLayoutEffect(() => {
    let asked = false;
    const measure = (): void => {
      asked = false;
      const top = body.current?.getBoundingClientRect().top ?? 0;
      const row = narrow.matches ? heights.narrow : heights.wide;
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
  }, [store, view]);

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
    <div class="list" role="table" aria-label="Batches" aria-rowcount={length + 1} aria-busy={order.length === 0}>
      <div role="rowgroup" class="head">
        <div role="row" aria-rowindex={1}>
          <span role="columnheader">Health</span>
          <span role="columnheader">Batch and cause</span>
          <span role="columnheader">Tier</span>
          <span role="columnheader">Progress</span>
          <span role="columnheader">Pace</span>
          <span role="columnheader">Expected</span>
          <span role="columnheader">Age</span>
        </div>
      </div>
      <div role="rowgroup" class="rows" ref={body} style={{ height: `${length * row}px` }}>
        {indexes(w, focused.value, length).map(i => {
          const id = order[i];
          const r = id === undefined ? undefined : store.row(id);
          return id !== undefined && r ? (
            <Line key={id} row={r} index={i} top={i * row} to={link(id)} now={store.now} focus={focused} />
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

/** Brings the focused row into sight and gives it the focus. */
function useFocus(body: { current: HTMLDivElement | null }, index: number | null, row: number): void {
  useLayoutEffect(() => {
    if (index === null) return;
    const link = body.current?.querySelector<HTMLElement>(`[aria-rowindex="${index + 2}"] a`);
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
}

const Line = memo(function Line({ row, index, top, to, now, focus }: LineProps) {
  const r = row.value;
  const h = healthWords(r.health);
  const over = isOver(r.status);
  return (
    <div
      class={`row ${h.mark}`}
      role="row"
      aria-rowindex={index + 2}
      style={{ transform: `translateY(${top}px)` }}
      data-id={r.batch_id}
    >
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
      <span role="cell" class="tier">
        {r.total_tiers > 0 ? (
          <>
            <span class="offscreen">Tier </span>
            {Math.min(r.current_tier + 1, r.total_tiers)}
            <span class="soft">/{r.total_tiers}</span>
          </>
        ) : (
          <span class="soft">–</span>
        )}
      </span>
      <span role="cell" class="progress">
        <Bar value={r.overall_progress} tone={h.mark} />
        <span class="n">{percent(r.overall_progress)}</span>
      </span>
      <span role="cell" class="pace">
        <Sparkline values={r.spark} over={over} />
      </span>
      <span role="cell" class="eta">
        <Expected row={r} over={over} now={now} />
      </span>
      <span role="cell" class="age" title={r.ordered_at}>
        <Age from={r.ordered_at} now={now} />
      </span>
    </div>
  );
});

function Age({ from, now }: { from: string; now: ReadonlySignal<number> }) {
  return <>{spanShort((now.value - Date.parse(from)) / 1000)}</>;
}

function Expected({ row, over, now }: { row: Row; over: boolean; now: ReadonlySignal<number> }) {
  if (over) return <span class="soft">{words(row.status)}</span>;
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
