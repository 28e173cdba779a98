// What is wrong, since when, in one sentence; and what to do next.
import type { ReadonlySignal } from '@preact/signals';
import type { Action, Snapshot } from '../api';
import { count, percent, span } from '../lib/format';
import { isOver } from '../lib/health';
import type { BatchPlace } from '../lib/route';
import { tierName } from '../lib/tier';
import { parse, range } from '../lib/time';
import { verdict } from '../lib/verdict';
import { Bar, Copy, Time } from '../parts/bits';
import { Icon } from '../parts/icons';
import { told, when } from '../parts/told';
import { zone } from '../state/prefs';
import { go } from '../state/router';
import { CauseFacts, Doubtful, Doubts } from './cause';

interface Props {
  s: Snapshot;
  now: ReadonlySignal<number>;
  at: BatchPlace;
}

export function Head({ s, now, at }: Props) {
  const v = verdict(s, now.value, when);
  return (
    <section class={`verdict ${v.mark}`} aria-labelledby="verdict" data-health={s.health}>
      <div class="says">
        <Icon mark={v.mark} size={26} />
        <h2 id="verdict">
          <strong>
            {v.word}
            {v.since ? ` ${v.since}` : ''}
          </strong>
          <span class="colon">: </span>
          {v.says}.
        </h2>
      </div>
      <p class="since">
        {v.sinceAt ? (
          <span>
            {isOver(s.status) ? 'at' : 'since'} <Time at={v.sinceAt} />
          </span>
        ) : null}
        {s.health_evidence.last_heard ? (
          <span>
            last heard <Time at={s.health_evidence.last_heard} />
          </span>
        ) : null}
        <button type="button" class="linkish" onClick={() => go({ ...at, evidence: true })}>
          Evidence
        </button>
      </p>
      {s.cause ? <CauseFacts c={s.cause} says={!s.blocked_reason} /> : null}
      <Sum s={s} now={now.value} />
      <Doubts s={s} />
      <Next s={s} />
    </section>
  );
}

function Sum({ s, now }: { s: Snapshot; now: number }) {
  const over = isOver(s.status);
  const from = parse(s.eta?.p50);
  const to = parse(s.eta?.p90);
  const asOf = Date.parse(s.view.as_of);
  const ran = s.duration_seconds === null ? null : s.duration_seconds + (over ? 0 : Math.max(0, (now - asOf) / 1000));
  return (
    <div class="sum">
      <div class="whole">
        <Bar value={s.overall_progress} label={`${percent(s.overall_progress)} of the batch`} />
        <span class="n">{percent(s.overall_progress)}</span>
        <Doubtful s={s} figure="progress" />
      </div>
      <p>
        {s.total_tiers > 0 ? <span>{tierName(s.current_tier, s.total_tiers, s.status)}</span> : null}
        {s.total_objects > 0 ? <span>{count(s.total_objects)} objects</span> : null}
        {ran === null ? null : (
          <span>
            {over ? `took ${span(ran)}` : `running for ${span(ran)}`} <Doubtful s={s} figure="times" />
          </span>
        )}
        {from && to ? (
          <span title={`${from.toISOString()} to ${to.toISOString()}. ${s.eta?.method ?? ''}`}>
            expected {range(from, to, new Date(now), zone.value)}{' '}
            <span class="soft">({s.eta?.confidence} confidence)</span> <Doubtful s={s} figure="expected" />
          </span>
        ) : null}
      </p>
    </div>
  );
}

function heading(s: Snapshot): string {
  if (s.health !== 'ok' || s.cause || s.doubts.length > 0) return 'What to do';
  return isOver(s.status) ? 'Next time' : 'What would help';
}

/** Steps in words, and what can be opened or copied. Headway runs none of them. */
function Next({ s }: { s: Snapshot }) {
  const calm = s.actions.length === 0 && s.next_actions.length <= 1;
  return (
    <div class={`next ${calm ? 'calm' : ''}`}>
      {s.next_actions.length > 0 ? (
        <>
          <h3>{heading(s)}</h3>
          <ol>
            {s.next_actions.map(a => (
              <li key={a}>{told(a)}</li>
            ))}
          </ol>
        </>
      ) : null}
      {s.actions.length > 0 ? (
        <ul class="actions">
          {s.actions.map(a => (
            <li key={a.label + a.kind}>
              <Act a={a} />
            </li>
          ))}
        </ul>
      ) : null}
    </div>
  );
}

function Act({ a }: { a: Action }) {
  if (a.href) {
    return (
      <a class="button" href={a.href} target="_blank" rel="noreferrer noopener" title={`Opens ${a.href}`}>
        {a.label} ↗
      </a>
    );
  }
  if (!a.command) return null;
  return (
    <span class="act">
      <span>{a.label}</span>
      <code>{a.command}</code>
      <Copy text={a.command} what={`the command: ${a.label}`} />
    </span>
  );
}
