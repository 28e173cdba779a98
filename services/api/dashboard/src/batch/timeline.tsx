// All tiers on one axis of time: queued, starting, working, waiting; with the changes of state.
import { type ReadonlySignal, useComputed, useSignal } from '@preact/signals';
import { memo } from 'preact/compat';
import { useEffect, useRef } from 'preact/hooks';
import type { Snapshot, TierDiagnostic, TimelineEntry } from '../api';
import { type Axis, axis, type Phase, place, reasons, segments } from '../lib/axis';
import { count, percent, span } from '../lib/format';
import { isOver, statusMark } from '../lib/health';
import { waitedFor, words } from '../lib/reason';
import { type BatchPlace, href } from '../lib/route';
import { clock, moment } from '../lib/time';
import { visible } from '../lib/window';
import { Icon } from '../parts/icons';
import { told, when } from '../parts/told';
import { zone } from '../state/prefs';
import { Scrub } from './scrub';

const phases: [Phase, string][] = [
  ['queued', 'queued: submitted, not running'],
  ['starting', 'starting: running, nothing processed yet'],
  ['working', 'working: documents are processed'],
  ['waiting', 'waiting: running without progress'],
];

/** From here on tiers scroll in a window of their own, and only those in it are on the page. */
const windowed = 30;
const narrow = matchMedia('(max-width: 46rem)');
const marksAtMost = 60;

interface Props {
  s: Snapshot;
  live: Snapshot;
  now: ReadonlySignal<number>;
  at: BatchPlace;
  shown: number | null;
}

export function Timeline({ s, live, now, at, shown }: Props) {
  const over = isOver(s.status);
  // A running axis is drawn anew every few seconds, more seldom the longer it is: less than a pixel moves between.
  const coarse = useComputed(() => {
    const t = now.value;
    const begin = Date.parse(s.started_at ?? s.submitted_at ?? s.created_at ?? s.view.as_of);
    const grain = Math.max(1000, Math.floor((t - begin) / 600 / 1000) * 1000);
    return Math.floor(t / grain) * grain;
  });
  const asOf = Date.parse(s.view.as_of);
  const present = over ? asOf : Math.max(asOf, coarse.value);
  const offset = zone.value === 'utc' ? 0 : -new Date(present).getTimezoneOffset();
  const a = axis(s, present, narrow.matches ? 3 : 6, offset);
  const kinds = [...new Set(s.tiers.slice(0, windowed).flatMap(t => reasons(t, present).map(w => w.kind)))];
  return (
    <section class="timeline" aria-labelledby="timeline">
      <header>
        <h2 id="timeline">Timeline</h2>
        <ul class="legend">
          {phases.map(([p, what]) => (
            <li key={p}>
              <span class={`swatch ${p}`} aria-hidden="true" />
              <span>
                <strong>{what.split(':')[0]}</strong>
                <span class="soft">:{what.split(':')[1]}</span>
              </span>
            </li>
          ))}
          {kinds.map(k => (
            <li key={k}>
              <span class={`swatch why ${k}`} aria-hidden="true" />
              <span>
                <strong>below</strong>
                <span class="soft">: waited for {waitedFor(k)}</span>
              </span>
            </li>
          ))}
        </ul>
      </header>
      <Scale a={a} s={s} over={over} />
      <Tiers s={s} a={a} now={present} at={at} shown={shown} />
      <Scrub live={live} at={at} />
    </section>
  );
}

function Scale({ a, s, over }: { a: Axis; s: Snapshot; over: boolean }) {
  const seconds = a.to - a.from < 600_000;
  const marks = s.timeline.filter(e => e.kind === 'batch' || e.kind === 'health').slice(-marksAtMost);
  return (
    <div class="scale" aria-hidden="true">
      <span class="day">{moment(new Date(a.from), new Date(a.to), zone.value, seconds)}</span>
      <div class="lane">
        {a.ticks.map(t => (
          <span key={t} class="tick" style={{ left: `${place(a, t)}%` }}>
            {clock(new Date(t), zone.value, seconds)}
          </span>
        ))}
        {marks.map(e => (
          <Mark key={e.at + e.change} e={e} a={a} />
        ))}
        {over ? null : <span class="nowline" />}
      </div>
    </div>
  );
}

function Mark({ e, a }: { e: TimelineEntry; a: Axis }) {
  return (
    <span
      class={`change ${e.kind}`}
      style={{ left: `${place(a, Date.parse(e.at))}%` }}
      title={`${when(new Date(e.at))}: ${e.subject} ${words(e.change).toLowerCase()}${e.reason ? `, ${told(e.reason)}` : ''}`}
    />
  );
}

function Tiers({ s, a, now, at, shown }: { s: Snapshot; a: Axis; now: number; at: BatchPlace; shown: number | null }) {
  const box = useRef<HTMLDivElement>(null);
  const row = narrow.matches ? 54 : 36;
  const scrolled = useSignal(0);
  const many = s.tiers.length > windowed;
  const height = many ? Math.min(row * 14, 560) : row * s.tiers.length;
  const w = many ? visible(s.tiers.length, row, scrolled.value, height, 2) : { from: 0, to: s.tiers.length };
  const index = s.tiers.findIndex(t => t.tier_num === shown);
  // What is opened is brought into the window once, and stays where a reader then scrolls it to.
  useEffect(() => {
    const b = box.current;
    if (!b || !many || index < 0) return;
    if (index * row < b.scrollTop || (index + 1) * row > b.scrollTop + b.clientHeight)
      b.scrollTop = Math.max(0, (index - 4) * row);
  }, [shown, many]);
  return (
    <>
      <div
        ref={box}
        class={`tiers ${many ? 'scrolls' : ''}`}
        style={many ? { height: `${height}px` } : {}}
        onScroll={e => {
          scrolled.value = Math.floor(e.currentTarget.scrollTop / row) * row;
        }}
        {...(many ? { tabIndex: 0, role: 'region', 'aria-label': `${count(s.tiers.length)} tiers` } : {})}
      >
        <ul style={{ height: `${s.tiers.length * row}px` }} aria-label="Tiers">
          {s.tiers.slice(w.from, w.to).map((t, i) => (
            <Tier
              key={t.tier_num}
              t={t}
              top={(w.from + i) * row}
              from={a.from}
              to={a.to}
              now={now}
              open={t.tier_num === shown}
              link={href({ ...at, tier: t.tier_num })}
              changes={s.timeline}
              size={s.tiers.length}
              pos={w.from + i + 1}
            />
          ))}
        </ul>
      </div>
      {many ? <p class="soft">{count(s.tiers.length)} tiers; scroll, or j and k to step through them.</p> : null}
    </>
  );
}

interface TierProps {
  t: TierDiagnostic;
  top: number;
  from: number;
  to: number;
  now: number;
  open: boolean;
  link: string;
  changes: TimelineEntry[];
  size: number;
  pos: number;
}

const Tier = memo(function Tier({ t, top, from, to, now, open, link, changes, size, pos }: TierProps) {
  const a = { from, to, ticks: [] };
  const parts = segments(t, now);
  const whys = reasons(t, now);
  const said = [
    ...parts.map(p => `${p.phase} ${span((p.to - p.from) / 1000)}`),
    ...whys.map(w => `waited ${span((w.to - w.from) / 1000)} for ${waitedFor(w.kind)}`),
  ].join(', ');
  const own =
    size > windowed
      ? []
      : changes
          .filter(
            e =>
              e.subject.startsWith(`tier ${t.tier_num + 1} of `) ||
              (e.kind === 'job' && t.jobs.some(j => j.ray_job_id === e.subject)),
          )
          .slice(-20);
  return (
    <li
      class={open ? 'open' : ''}
      style={{ transform: `translateY(${top}px)` }}
      aria-setsize={size}
      aria-posinset={pos}
    >
      <a href={link} data-app aria-current={open ? 'true' : undefined} title={said}>
        <Icon mark={statusMark(t.status)} size={14} />
        <span class="num">Tier {t.tier_num + 1}</span>
        <span class="status">{words(t.status)}</span>
        <span class="n">{percent(t.progress.percentage)}</span>
        <span class="offscreen">: {said || 'not started'}</span>
      </a>
      <div class="track" aria-hidden="true">
        {parts.map(p => {
          const left = place(a, p.from);
          return (
            <span
              key={p.phase + p.from}
              class={`seg ${p.phase} ${t.status === 'FAILED' ? 'failed' : ''}`}
              style={{ left: `${left}%`, width: `${Math.max(0.15, place(a, p.to) - left)}%` }}
              title={`${p.phase} for ${span((p.to - p.from) / 1000)}, from ${when(new Date(p.from))}`}
            />
          );
        })}
        {whys.map(w => {
          const left = place(a, w.from);
          return (
            <span
              key={w.kind + w.from}
              class={`why ${w.kind}`}
              style={{ left: `${left}%`, width: `${Math.max(0.15, place(a, w.to) - left)}%` }}
              title={`waited ${span((w.to - w.from) / 1000)} for ${waitedFor(w.kind)}, from ${when(new Date(w.from))}`}
            />
          );
        })}
        {own.map(e => (
          <Mark key={e.at + e.subject + e.change} e={e} a={a} />
        ))}
      </div>
    </li>
  );
});
