// The list: what needs somebody first.
import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { count, plural } from '../lib/format';
import { expected } from '../lib/held';
import { batchPlace, href, type ListPlace } from '../lib/route';
import { Staleness } from '../parts/connection';
import { helpOpen } from '../parts/help';
import { useKeys } from '../parts/keys';
import { Refused } from '../parts/refused';
import { Shell } from '../parts/shell';
import type { ListStore } from '../state/list';
import { zone } from '../state/prefs';
import { go } from '../state/router';
import { Empty } from './empty';
import { Filters } from './filters';
import { Rows } from './rows';

export function ListView({ store, at }: { store: ListStore; at: ListPlace }) {
  const search = useRef<HTMLInputElement>(null);
  const focused = useSignal<number | null>(null);
  const key = `${at.health.join()}|${at.status.join()}|${at.q}`;
  useEffect(() => {
    focused.value = null;
    store.show({ health: at.health, status: at.status, q: at.q });
  }, [store, key]);
  useEffect(() => {
    document.title = at.namespace ? `Batches of ${at.namespace} · Headway` : 'Batches · Headway';
  }, [at.namespace]);
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
    t: () => (zone.value = zone.value === 'utc' ? 'local' : 'utc'),
    '?': () => (helpOpen.value = true),
  });

  const counts = store.counts.value;
  const refused = store.connection.value.state === 'refused' && store.order.value.length === 0;
  const filtered = at.health.length + at.status.length > 0 || at.q.trim() !== '';
  const total = expected(counts, { health: at.health, status: at.status, q: at.q });
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
          <div class="above">
            <p class="soft" data-total>
              {counts === null
                ? 'Reading…'
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
          </div>
          {empty ? (
            filtered ? (
              <NoneLeft at={at} />
            ) : (
              <Empty namespace={at.namespace} />
            )
          ) : (
            <Rows
              store={store}
              total={total}
              focused={focused}
              open={id => go(batchPlace(at.namespace, id))}
              link={id => href(batchPlace(at.namespace, id))}
            />
          )}
        </>
      )}
    </Shell>
  );
}

function NoneLeft({ at }: { at: ListPlace }) {
  return (
    <div class="blank">
      <p>No batch matches this filter.</p>
      <p>
        <a class="button" href={href({ ...at, health: [], status: [], q: '' })} data-app>
          Show all
        </a>
      </p>
    </div>
  );
}
