// One batch: what is wrong and what to do, the tier that matters, the course of all tiers, and the rest.
import { signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { Snapshot } from '../api';
import { words } from '../lib/reason';
import { type BatchPlace, base, href, listPlace } from '../lib/route';
import * as says from '../lib/texts';
import { telling, verdict } from '../lib/verdict';
import { Copy, Id, PipelineLink } from '../parts/bits';
import { Staleness } from '../parts/connection';
import { helpOpen } from '../parts/help';
import { Icon } from '../parts/icons';
import { useKeys } from '../parts/keys';
import { Refused } from '../parts/refused';
import { Shell } from '../parts/shell';
import { when } from '../parts/told';
import type { BatchStore } from '../state/batch';
import { showIcon } from '../state/icon';
import { type Past, usePast } from '../state/past';
import { zone } from '../state/prefs';
import { go } from '../state/router';
import { authorization } from '../state/session';
import { Evidence } from './evidence';
import { Rest } from './rest';
import { PastBanner, Scrub } from './scrub';
import { OpenTier } from './tier';
import { Timeline } from './timeline';
import { Head } from './verdict';

export function BatchView({ store, at }: { store: BatchStore; at: BatchPlace }) {
  const live = store.snapshot.value;
  const past = usePast(at.namespace, at.id, at.moment);
  const s = (at.moment && past?.snapshot) || live;
  const missing = store.missing.value;
  const shown = s ? (at.tier ?? telling(s)) : null;
  const step = (by: number): void => {
    if (!s || s.tiers.length === 0) return;
    const i = s.tiers.findIndex(t => t.tier_num === shown);
    const next = s.tiers[Math.min(s.tiers.length - 1, Math.max(0, i + by))];
    if (next) go({ ...at, tier: next.tier_num }, true);
  };
  useKeys({
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => scrollBy(0, 60),
    ArrowUp: () => scrollBy(0, -60),
    e: () => go({ ...at, evidence: true }),
    b: () => go(listPlace(at.namespace)),
    t: () => (zone.value = zone.value === 'utc' ? 'local' : 'utc'),
    '?': () => (helpOpen.value = true),
  });
  const word = s ? verdict(s, Date.parse(s.view.as_of)).word : '';
  useEffect(() => {
    showIcon(s?.health === 'stuck' ? 1 : 0);
    document.title = `${word ? `${word}: ` : ''}${s?.batch_name ?? at.id} · Headway`;
  }, [word, s?.batch_name, s?.health, at.id]);
  return (
    <Shell namespace={at.namespace} connection={store.connection.value}>
      <nav aria-label="Breadcrumb" class="back">
        <a href={href(listPlace(at.namespace))} data-app>
          ← Batches
        </a>
      </nav>
      {s ? (
        <Known s={s} live={live ?? s} past={past} store={store} at={at} shown={shown} />
      ) : missing ? (
        <Missing why={missing} store={store} at={at} />
      ) : (
        <Waiting store={store} at={at} />
      )}
    </Shell>
  );
}

interface KnownProps {
  s: Snapshot; // as it is now, or as it was at the moment in the address
  live: Snapshot;
  past: Past | null;
  store: BatchStore;
  at: BatchPlace;
  shown: number | null;
}

function Known({ s, live, past, store, at, shown }: KnownProps) {
  const asOf = Date.parse(s.view.as_of);
  const still = useMemo(() => signal(asOf), [asOf]);
  const now = s === past?.snapshot ? still : store.now;
  const tier = s.tiers.find(t => t.tier_num === shown);
  if (at.moment && past?.error) {
    return (
      <article class="batch">
        <Title s={live} at={at} />
        <PastBanner past={past} at={at} />
        <Scrub live={live} at={at} />
      </article>
    );
  }
  const empty = s.tiers.length === 0 && s.timeline.length === 0;
  return (
    <article class="batch">
      <Title s={s} at={at} />
      {at.moment ? <PastBanner past={past} at={at} /> : <Staleness state={store.connection.value} />}
      {s.view.incomplete ? (
        <p class="notice degraded" data-incomplete>
          <Icon mark="degraded" />
          <span>
            <strong>Incomplete.</strong> Events of this batch were lost to retention before they were read: it may have
            come further than is shown.
          </span>
        </p>
      ) : null}
      {s.view.truncated ? (
        <p class="notice">
          <strong>Cut.</strong> This batch is larger than a view holds; some jobs, collections or errors are left out.
        </p>
      ) : null}
      <Head s={s} now={now} at={at} />
      {tier ? <OpenTier key={tier.tier_num} s={s} tier={tier} now={now} at={at} /> : null}
      {s.tiers.length > 0 ? <Timeline s={s} live={live} now={now} at={at} shown={shown} /> : <NoData draft={empty} />}
      <Rest s={s} at={at} />
      <Evidence s={s} at={at} />
    </article>
  );
}

function NoData({ draft }: { draft: boolean }) {
  return (
    <section class="blank" data-nodata>
      <h2>{says.noData.title}</h2>
      <p>
        {draft ? says.noData.draft : says.noData.tiers} {says.noData.what}
      </p>
    </section>
  );
}

function Title({ s, at }: { s: Snapshot; at: BatchPlace }) {
  const url = `${location.origin}${base}/v1/analytics/performance/batches/${encodeURIComponent(s.batch_id)}/diagnostics`;
  const curl = `curl -s${authorization} ${at.namespace ? `-H 'X-Namespace: ${at.namespace}' ` : ''}${url}`;
  return (
    <header class="title">
      <h1>{s.batch_name}</h1>
      <p class="under">
        {s.batch_name === s.batch_id ? (
          <Copy text={s.batch_id} what="the batch id" />
        ) : (
          <Id text={s.batch_id} what="the batch id" />
        )}
        <span>{words(s.status)}</span>
        {s.pipeline ? <PipelineLink namespace={at.namespace} name={s.pipeline} /> : null}
        {s.owner ? <span>{s.owner}</span> : null}
        {s.attempt > 1 ? <span>attempt {s.attempt}</span> : null}
        {s.retry_of ? (
          <span>
            retry of{' '}
            <a href={href({ ...at, id: s.retry_of, tier: null, evidence: false, moment: '' })} data-app>
              {s.retry_of}
            </a>
          </span>
        ) : null}
        {Object.entries(s.labels ?? {}).map(([k, v]) => (
          <span key={k} class="label">
            {k}: {typeof v === 'string' ? v : JSON.stringify(v)}
          </span>
        ))}
        <Copy text={curl} what="the curl command for this batch">
          curl
        </Copy>
      </p>
    </header>
  );
}

/** Before the first answer. */
function Waiting({ store, at }: { store: BatchStore; at: BatchPlace }) {
  const c = store.connection.value;
  return (
    <div class="blank" data-waiting aria-busy="true">
      <h1>{at.id}</h1>
      {c.state === 'disconnected' ? (
        <>
          <p>
            {says.isUnavailable(c) ? says.unavailable : says.unreachable} {says.keepsTrying}
          </p>
          {c.error ? <p class="soft">{c.error.message}</p> : null}
        </>
      ) : (
        <p>{says.asking}</p>
      )}
    </div>
  );
}

function Missing({
  why,
  store,
  at,
}: {
  why: 'awaited' | 'refused' | 'rebuilding' | 'bad' | 'erased';
  store: BatchStore;
  at: BatchPlace;
}) {
  if (why === 'refused') return <Refused error={store.connection.value.error} namespace={at.namespace} />;
  if (why === 'rebuilding') {
    return (
      <div class="blank" data-rebuilding>
        <h1>{at.id}</h1>
        <p>{store.connection.value.error?.message ?? says.rebuilding}</p>
        <p class="soft">{says.nothingLost}</p>
      </div>
    );
  }
  if (why === 'erased') {
    const since = store.connection.value.error?.details.erased_at;
    return (
      <div class="blank" data-erased>
        <h1>{at.id}</h1>
        <p>{says.erased.text(typeof since === 'string' ? when(new Date(since)) : '')}</p>
        <p class="soft">{says.erased.what}</p>
        <p>
          <a class="button" href={href(listPlace(at.namespace))} data-app>
            All batches
          </a>
        </p>
      </div>
    );
  }
  return (
    <div class="blank" data-missing>
      {why === 'bad' ? (
        <>
          <h1>{says.badId.title}</h1>
          <p>{says.badId.text}</p>
        </>
      ) : (
        <>
          <h1>{says.awaited.title}</h1>
          <p>
            {says.awaited.text(at.id, at.namespace).map((part, i) => (i % 2 ? <code key={part}>{part}</code> : part))}
          </p>
          <p class="soft">{says.awaited.what}</p>
        </>
      )}
      <p>
        <a class="button" href={href(listPlace(at.namespace))} data-app>
          All batches
        </a>
      </p>
    </div>
  );
}
