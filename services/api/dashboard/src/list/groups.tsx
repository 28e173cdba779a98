// Batches that have something in common. The server counts them, so that a group is whole though a page of the list is not.
import type { BatchGroup } from '@headway/client';
import { type ReadonlySignal, signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Cause } from '../api';
import { CauseFacts } from '../batch/cause';
import { codeWords } from '../lib/cause';
import { count, plural } from '../lib/format';
import { healths, healthWords } from '../lib/health';
import { type Grouping, href, type ListPlace } from '../lib/route';
import { noGroup, reading } from '../lib/texts';
import { PipelineLink } from '../parts/bits';
import { MarkWord } from '../parts/icons';
import { told } from '../parts/told';
import { client } from '../state/client';
import { type ListStore, queryOf } from '../state/list';

const most = 200;
/** From so many batches on, the list says that they have the same cause. */
const notable = 5;

/** What the batches of a group have in common, in words. */
function common(g: BatchGroup, by: Grouping): string {
  if (by === 'cause') return g.alike ? told(g.alike) : codeWords(g.cause ?? '');
  return g[by] ?? (by === 'owner' ? 'nobody' : 'no pipeline');
}

/** The list of a group's batches. */
function opened(at: ListPlace, g: BatchGroup, by: Grouping): ListPlace {
  if (by === 'cause') return { ...at, group: by, cause: g.cause ?? '', alike: g.alike ?? '' };
  return { ...at, group: by, [by]: [g[by] ?? ''] };
}

/** Whether one of the groups is open. */
export const isOpen = (at: ListPlace): boolean =>
  at.group !== null && (at.group === 'cause' ? at.cause !== '' : at[at.group].length > 0);

interface Read {
  groups: BatchGroup[];
  total: number;
}

/** The groups of what a list shows, read again while it changes. */
function useGroups(
  store: ListStore,
  at: ListPlace,
  by: Grouping,
  limit: number,
  wanted: boolean,
): ReadonlySignal<Read | null> {
  const found = useSignal<Read | null>(null);
  const key = `${href(at)} ${by}`;
  const changes = store.changes.value;
  useEffect(() => {
    found.value = null;
  }, [key]);
  useEffect(() => {
    if (!wanted) return;
    const stop = new AbortController();
    const { sort: _, ...filter } = queryOf(store.filter);
    client(store.namespace)
      .groups({ ...filter, by, limit }, { signal: stop.signal })
      .then(
        answer => {
          found.value = answer;
        },
        () => 0, // an older server has none; the list itself says what can't be read
      );
    return () => stop.abort();
  }, [key, changes, wanted]);
  return found;
}

export function Groups({ store, at, by }: { store: ListStore; at: ListPlace; by: Grouping }) {
  const read = useGroups(store, at, by, most, true).value;
  if (!read) return <p class="soft">{reading}</p>;
  if (read.groups.length === 0) return <p class="soft none">{noGroup}</p>;
  return (
    <>
      <ul class="groups" aria-label={`Batches by ${by}`}>
        {read.groups.map(g => (
          <li
            key={`${g.cause} ${common(g, by)}`}
            class={urgent(g)}
            data-group={g.cause ?? g[by === 'cause' ? 'alike' : by]}
          >
            <a href={href(opened(at, g, by))} data-app>
              <strong>{plural(g.count, 'batch', 'batches')}</strong>: {common(g, by)}
            </a>
            <Healths g={g} />
            {g.pipeline ? (
              <PipelineLink namespace={at.namespace} name={g.pipeline}>
                All runs
              </PipelineLink>
            ) : null}
            {g.cause ? <code class="soft">{g.cause}</code> : null}
          </li>
        ))}
      </ul>
      {read.total > read.groups.length ? (
        <p class="soft">
          The first {count(read.groups.length)} of {count(read.total)} groups; a filter leaves fewer.
        </p>
      ) : null}
    </>
  );
}

const urgent = (g: BatchGroup): string => healths.find(h => (g.health[h] ?? 0) > 0) ?? 'unknown';

function Healths({ g }: { g: BatchGroup }) {
  return (
    <span class="counts">
      {healths
        .filter(h => (g.health[h] ?? 0) > 0)
        .map(h => {
          const { mark, word } = healthWords(h);
          return <MarkWord key={h} mark={mark} word={`${count(g.health[h] ?? 0)} ${word.toLowerCase()}`} />;
        })}
    </span>
  );
}

/** Above the rows of one group: what they have in common, who holds what they wait for, and what would fix it. */
export function OpenGroup({ store, at, by }: { store: ListStore; at: ListPlace; by: Grouping }) {
  const g = useGroups(store, at, by, 1, true).value?.groups[0];
  const all: ListPlace = { ...at, cause: '', alike: '', pipeline: [], owner: [] };
  return (
    <section class={`group-open ${g ? urgent(g) : ''}`} aria-labelledby="group" data-open-group>
      <p>
        <a href={href(all)} data-app>
          ← All groups
        </a>
      </p>
      <h2 id="group">
        {g
          ? `${plural(g.count, 'batch', 'batches')}: ${common(g, by)}`
          : at.alike || at.cause || at[by === 'cause' ? 'owner' : by].join()}
      </h2>
      {g?.pipeline ? (
        <p>
          <PipelineLink namespace={at.namespace} name={g.pipeline}>
            All runs of this pipeline
          </PipelineLink>
        </p>
      ) : null}
      {by === 'cause' && g ? <Example namespace={store.namespace} id={g.batch_id} /> : null}
    </section>
  );
}

interface Sample {
  cause: Cause | null;
  next_actions: string[];
}

/** What is known of the cause, from one of the batches. */
function Example({ namespace, id }: { namespace: string; id: string }) {
  const s = useSignal<Sample | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    client(namespace)
      .diagnostics(id, { signal: stop.signal, fields: ['cause', 'next_actions'] })
      .then(
        answer => {
          s.value = answer;
        },
        () => 0, // the rows say it too
      );
    return () => stop.abort();
  }, [namespace, id]);
  const c = s.value?.cause;
  if (!c) return null;
  return (
    <>
      <CauseFacts c={c} />
      <p>
        <strong>What to do:</strong> {told(s.value?.next_actions[0] ?? '')}{' '}
        <span class="soft">
          As for <code>{id}</code>.
        </span>
      </p>
    </>
  );
}

const hidden = signal(false);

/** Says above the list that many of its batches have one cause. */
export function SameCause({ store, at }: { store: ListStore; at: ListPlace }) {
  const wanted = !at.group && !at.cause && !hidden.value && store.order.value.length >= notable;
  const read = useGroups(store, at, 'cause', 5, wanted).value;
  const g = wanted
    ? read?.groups.find(o => o.count >= notable && ((o.health.stuck ?? 0) > 0 || (o.health.degraded ?? 0) > 0))
    : undefined;
  if (!g) return null;
  return (
    <p class={`notice ${urgent(g)}`} data-same-cause>
      <span>
        <strong>{plural(g.count, 'batch', 'batches')}</strong> have the same cause: {common(g, 'cause')}.{' '}
        <a href={href(opened(at, g, 'cause'))} data-app>
          Show them as one
        </a>
      </span>
      <button type="button" class="linkish" onClick={() => (hidden.value = true)}>
        Hide
      </button>
    </p>
  );
}
