// The list: what needs somebody first.

import { HeadwayError } from '@headway/client';
import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { count, plural } from '../lib/format';
import { expected, type Filter, filters } from '../lib/held';
import { batchPlace, href, type ListPlace, unfiltered } from '../lib/route';
import { noMatch, reading, unavailable, unreadable } from '../lib/texts';
import { parse } from '../lib/time';
import { Staleness } from '../parts/connection';
import { helpOpen } from '../parts/help';
import { useKeys } from '../parts/keys';
import { Refused } from '../parts/refused';
import { Shell } from '../parts/shell';
import { showIcon } from '../state/icon';
import type { ListStore } from '../state/list';
import { density, zone } from '../state/prefs';
import { go } from '../state/router';
import { Earlier } from './earlier';
import { Empty } from './empty';
import { Filters } from './filters';
import { Groups, isOpen, OpenGroup, SameCause } from './groups';
import { Rows } from './rows';
import { Selection } from './selection';

/** What a place shows: a time range that goes back from now begins at a whole minute. */
function filterOf(at: ListPlace): Filter {
  const back = /^(\d+)([hd])$/.exec(at.since);
  const hours = back ? Number(back[1]) * (back[2] === 'd' ? 24 : 1) : 0;
  return {
    health: at.health,
    status: at.status,
    q: at.q,
    pipeline: at.pipeline,
    owner: at.owner,
    cause: at.cause,
    alike: at.alike,
    from: hours ? new Date(Math.floor(Date.now() / 60_000) * 60_000 - hours * 3_600_000) : parse(at.from),
    to: parse(at.to),
    sort: at.sort,
  };
}

export function ListView({ store, at }: { store: ListStore; at: ListPlace }) {
  const search = useRef<HTMLInputElement>(null);
  const focused = useSignal<number | null>(null);
  const key = href({ ...at, group: null, columns: null });
  const filter = useMemo(() => filterOf(at), [key]);
  useEffect(() => {
    focused.value = null;
    store.show(filter);
  }, [store, filter]);
  const stuck = store.counts.value?.health.stuck ?? 0;
  useEffect(() => {
    document.title = `${stuck > 0 ? `(${count(stuck)} stuck) ` : ''}Batches${at.namespace ? ` of ${at.namespace}` : ''} · Headway`;
    showIcon(stuck);
  }, [at.namespace, stuck]);
  const length = useComputed(() => store.order.value.length);
  const move = (by: number): void => {
    const n = length.value;
    if (n === 0) return;
    const next = focused.value === null ? (by > 0 ? 0 : n - 1) : focused.value + by;
    focused.value = Math.min(n - 1, Math.max(0, next));
  };
  useKeys({
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    '/': () => search.current?.focus(),
    u: store.apply,
    x: () => {
      const id = focused.value === null ? undefined : store.order.value[focused.value];
      if (id) store.choose(id);
    },
    c: () => (density.value = density.value === 'compact' ? 'usual' : 'compact'),
    t: () => (zone.value = zone.value === 'utc' ? 'local' : 'utc'),
    '?': () => (helpOpen.value = true),
  });

  const counts = store.counts.value;
  const refused = store.connection.value.state === 'refused' && store.order.value.length === 0;
  const filtered = filters(filter);
  const total = expected(counts, filter);
  const grouping = at.group && !isOpen(at) ? at.group : null;
  const failed = store.connection.value.state === 'disconnected' ? null : store.error.value; // which says it already
  const empty = counts !== null && store.complete.value && length.value === 0;
  return (
    <Shell namespace={at.namespace} connection={store.connection.value}>
      <h1 class="offscreen">Batches{at.namespace ? ` of ${at.namespace}` : ''}</h1>
      {refused ? (
        <Refused error={store.connection.value.error} namespace={at.namespace} />
      ) : (
        <>
          <Filters at={at} counts={counts} search={search} />
          <Staleness state={store.connection.value} />
          {store.incomplete.value ? (
            <p class="notice degraded" data-incomplete>
              <strong>Incomplete.</strong>{' '}
              {store.incomplete.value.join(' ') || 'Views are being rebuilt: batches may be missing for the moment.'}
            </p>
          ) : null}
          {failed ? (
            <p class="notice stuck" data-unreadable>
              <span>
                {failed instanceof HeadwayError && failed.status >= 500 ? unavailable : unreadable} {failed.message}
              </span>
            </p>
          ) : null}
          {at.group && isOpen(at) ? (
            <OpenGroup store={store} at={at} by={at.group} />
          ) : (
            <SameCause store={store} at={at} />
          )}
          <div class="above">
            <p class="soft" data-total>
              {counts === null
                ? reading
                : total === null
                  ? store.complete.value
                    ? plural(length.value, 'batch', 'batches')
                    : `${count(length.value)}+ batches`
                  : plural(total, 'batch', 'batches')}
              {filtered && counts !== null ? ` of ${count(counts.total)}` : ''}
            </p>
            {store.held.value > 0 ? (
              <button
                type="button"
                class="held"
                onClick={store.apply}
                title="Rows were added or moved; show them in their places (u)"
              >
                {plural(store.held.value, 'update')}
              </button>
            ) : null}
            <Selection store={store} />
          </div>
          {grouping && !(empty && !filtered) ? (
            <Groups store={store} at={at} by={grouping} />
          ) : empty ? (
            filtered ? (
              <NoneLeft at={at} />
            ) : (
              <Empty namespace={at.namespace} />
            )
          ) : (
            <Rows
              store={store}
              at={at}
              total={total}
              focused={focused}
              open={id => go(batchPlace(at.namespace, id))}
              link={id => href(batchPlace(at.namespace, id))}
            />
          )}
          {counts === null ? null : <Earlier namespace={at.namespace} />}
        </>
      )}
    </Shell>
  );
}

function NoneLeft({ at }: { at: ListPlace }) {
  return (
    <div class="blank">
      <p>{noMatch}</p>
      <p>
        <a class="button" href={href(unfiltered(at))} data-app>
          Show all
        </a>
      </p>
    </div>
  );
}
