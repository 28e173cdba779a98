// Insights, collections, performance, errors and the changes of state, a tab each.
import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import type { Snapshot } from '../api';
import { count, plural } from '../lib/format';
import type { Mark } from '../lib/health';
import { words } from '../lib/reason';
import { type BatchPlace, at as link, type Tab, tabs } from '../lib/route';
import { tierName, tierOf } from '../lib/tier';
import { Bar, Copy, Time } from '../parts/bits';
import { MarkWord } from '../parts/icons';
import { told } from '../parts/told';
import { go } from '../state/router';
import { Performance } from './performance';
import { Wide } from './wide';

const many = 200;

export function Rest({ s, at }: { s: Snapshot; at: BatchPlace }) {
  const list = useRef<HTMLDivElement>(null);
  const numbers: Record<Tab, number | null> = {
    insights: s.insights.length,
    collections: s.collections.length,
    performance: null,
    errors: errorCount(s),
    changes: s.timeline.length,
  };
  const pick = (tab: Tab): void => go({ ...at, tab }, true);
  const step = (by: number): void => {
    const next = tabs[(tabs.indexOf(at.tab) + by + tabs.length) % tabs.length];
    if (!next) return;
    pick(next);
    list.current?.querySelector<HTMLElement>(`[data-tab=${next}]`)?.focus();
  };
  return (
    <section class="rest" aria-label="More">
      <div
        ref={list}
        class="tabs"
        role="tablist"
        aria-label="More"
        onKeyDown={e => {
          if (e.key === 'ArrowRight') step(1);
          else if (e.key === 'ArrowLeft') step(-1);
          else return;
          e.preventDefault();
        }}
      >
        {tabs.map(t => (
          <button
            key={t}
            type="button"
            role="tab"
            id={`tab-${t}`}
            data-tab={t}
            aria-selected={at.tab === t}
            aria-controls="panel"
            tabIndex={at.tab === t ? 0 : -1}
            onClick={() => pick(t)}
          >
            {words(t)}
            {numbers[t] === null ? null : <span class="n"> {count(numbers[t] ?? 0)}</span>}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="panel" aria-labelledby={`tab-${at.tab}`} tabIndex={0}>
        <Panel s={s} tab={at.tab} />
      </div>
    </section>
  );
}

function Panel({ s, tab }: { s: Snapshot; tab: Tab }) {
  switch (tab) {
    case 'insights':
      return <Insights s={s} />;
    case 'collections':
      return <Collections s={s} />;
    case 'performance':
      return <Performance s={s} />;
    case 'errors':
      return <Errors s={s} />;
    case 'changes':
      return <Changes s={s} />;
  }
}

/** All errors, not their kinds; without any, the documents that failed. */
function errorCount(s: Snapshot): number {
  const counted = s.errors.reduce((n, e) => n + e.affected_count, 0);
  return counted || s.tiers.reduce((n, t) => n + t.failed_documents, 0);
}

const severities: Record<string, Mark> = { critical: 'stuck', warning: 'degraded', info: 'scaling' };

function Insights({ s }: { s: Snapshot }) {
  if (s.insights.length === 0) return <None>No insights: there is not enough data for any rule.</None>;
  return (
    <ul class="insights">
      {s.insights.map(i => (
        <li key={i.message}>
          <MarkWord mark={severities[i.severity] ?? 'unknown'} word={words(i.severity)} />
          <div>
            <p>{told(i.message)}</p>
            {i.recommendation ? <p class="soft">{told(i.recommendation)}</p> : null}
          </div>
        </li>
      ))}
    </ul>
  );
}

const ready: Record<string, Mark> = { ready: 'ok', processing: 'scaling', empty: 'unknown' };

function Collections({ s }: { s: Snapshot }) {
  if (s.collections.length === 0) return <None>No collection was reported.</None>;
  return (
    <>
      <Wide label="Collections">
        <table>
          <thead>
            <tr>
              <th scope="col">Collection</th>
              <th scope="col">Status</th>
              <th scope="col" class="num">
                Documents
              </th>
              <th scope="col" class="num">
                Expected
              </th>
              <th scope="col">Share</th>
              <th scope="col" class="num">
                Tier
              </th>
            </tr>
          </thead>
          <tbody>
            {s.collections.slice(0, many).map(c => (
              <tr key={c.collection_id}>
                <td>
                  {c.collection_name} <Copy text={c.collection_id} what={`the id of ${c.collection_name}`} />
                </td>
                <td>
                  <MarkWord mark={ready[c.status] ?? 'unknown'} word={words(c.status)} />
                </td>
                <td class="num">{count(c.document_count)}</td>
                <td class="num">{c.expected_documents === null ? '–' : count(c.expected_documents)}</td>
                <td>
                  {c.expected_documents ? (
                    <Bar
                      value={(c.document_count / c.expected_documents) * 100}
                      label={`share of ${c.collection_name}`}
                    />
                  ) : null}
                </td>
                <td class="num">{c.tier_num === null ? '–' : tierOf(c.tier_num, s.total_tiers)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
      <More n={s.collections.length} of="collection" />
    </>
  );
}

function Errors({ s }: { s: Snapshot }) {
  if (s.errors.length === 0 && s.failed_documents_sample.length === 0) return <None>No error was reported.</None>;
  return (
    <>
      {s.errors.length > 0 ? (
        <ul class="errors">
          {s.errors.slice(0, many).map(e => (
            <li key={`${e.tier_num} ${e.error_type} ${e.component} ${e.stage} ${e.message}`}>
              <p>
                <strong class="text-stuck">{e.error_type}</strong>{' '}
                <span class="n">{count(e.affected_count)} times</span>
                <span class="soft">
                  {' '}
                  {tierName(e.tier_num, s.total_tiers)}
                  {e.component ? `, ${e.component}` : ''}
                  {e.stage ? `, ${e.stage}` : ''}
                </span>
              </p>
              <p class="message">{e.message}</p>
              {e.recovery_suggestion ? <p>{e.recovery_suggestion}</p> : null}
              {e.affected_document_ids.length > 0 ? (
                <p class="soft">
                  {e.affected_document_ids.slice(0, 10).join(', ')}{' '}
                  <Copy text={e.affected_document_ids.join('\n')} what="the ids of the documents" />
                </p>
              ) : null}
            </li>
          ))}
        </ul>
      ) : null}
      {s.errors.length === 0 ? (
        <p>
          Documents that failed, the first: {s.failed_documents_sample.join(', ')}{' '}
          <Copy text={s.failed_documents_sample.join('\n')} what="the ids of the documents" />
        </p>
      ) : null}
      <More n={s.errors.length} of="error" />
    </>
  );
}

function Changes({ s }: { s: Snapshot }) {
  if (s.timeline.length === 0) return <None>No change of state yet.</None>;
  const newest = [...s.timeline].reverse();
  return (
    <>
      <Wide label="Changes of state">
        <table>
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">What</th>
              <th scope="col">Change</th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            {newest.slice(0, many).map((e, i) => (
              <tr key={`${e.at} ${e.subject} ${e.change} ${i}`}>
                <td>
                  <Time at={e.at} />
                </td>
                <td>{e.subject}</td>
                <td>{words(e.change)}</td>
                <td>{e.reason ? told(e.reason) : ''}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
      <More n={s.timeline.length} of="change" />
    </>
  );
}

const None = ({ children }: { children: ComponentChildren }) => <p class="soft none">{children}</p>;

function More({ n, of }: { n: number; of: string }) {
  return n > many ? (
    <p class="soft">
      The first {count(many)} of {plural(n, of)}; <a href={link('docs')}>the API</a> has all, in pages.
    </p>
  ) : null;
}
