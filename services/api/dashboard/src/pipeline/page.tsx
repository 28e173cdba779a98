// A pipeline: its runs, tier by tier, how they change from run to run, and any two of them side by side.
import { useEffect, useMemo } from 'preact/hooks';
import { plural } from '../lib/format';
import { isOver } from '../lib/health';
import { href, listPlace, type PipelinePlace } from '../lib/route';
import * as says from '../lib/texts';
import { Time } from '../parts/bits';
import { Staleness } from '../parts/connection';
import { helpOpen } from '../parts/help';
import { useKeys } from '../parts/keys';
import { Refused } from '../parts/refused';
import { Shell } from '../parts/shell';
import { say } from '../state/announce';
import { showIcon } from '../state/icon';
import { useOpen } from '../state/open';
import { zone } from '../state/prefs';
import { go } from '../state/router';
import { mostRuns, RunsStore } from '../state/runs';
import { Compared } from './compared';
import { Matrix } from './matrix';
import { Trends } from './trends';
import '../styles/pipeline.css';

export function PipelineView({ at }: { at: PipelinePlace }) {
  const store = useMemo(() => new RunsStore(at.namespace, at.name), [at.namespace, at.name]);
  useOpen(store);
  useKeys({
    b: () => go(listPlace(at.namespace)),
    t: () => (zone.value = zone.value === 'utc' ? 'local' : 'utc'),
    '?': () => (helpOpen.value = true),
  });
  useEffect(() => {
    showIcon(0);
    document.title = `${at.name} · Headway`;
  }, [at.name]);
  const runs = store.runs.value;
  const connection = store.connection.value;
  return (
    <Shell namespace={at.namespace} connection={connection}>
      <nav aria-label="Breadcrumb" class="back">
        <a href={href(listPlace(at.namespace))} data-app>
          ← Batches
        </a>
      </nav>
      {connection?.state === 'refused' && !runs ? (
        <Refused error={connection.error} namespace={at.namespace} />
      ) : (
        <article class="pipeline">
          <header class="title">
            <h1>{at.name}</h1>
            <p class="under">
              <span>Pipeline</span>
              <a href={href({ ...listPlace(at.namespace), pipeline: [at.name] })} data-app>
                Its batches in the list
              </a>
              {runs?.length ? (
                <span data-read>
                  As of <Time at={store.readAt.value} alone />; read again every{' '}
                  {store.active.value > 0 ? '15 s' : 'minute'}
                </span>
              ) : null}
            </p>
          </header>
          {connection ? <Staleness state={connection} /> : null}
          {store.incomplete.value ? (
            <p class="notice degraded" data-incomplete>
              <span>
                <strong>Incomplete.</strong> {store.incomplete.value.join(' ')}
              </span>
            </p>
          ) : null}
          {!runs ? (
            <p class="soft" role="status" data-waiting>
              {connection ? says.keepsTrying : says.reading}
            </p>
          ) : runs.length === 0 && !store.next.value ? (
            <None at={at} />
          ) : (
            <Known store={store} at={at} />
          )}
        </article>
      )}
    </Shell>
  );
}

function None({ at }: { at: PipelinePlace }) {
  return (
    <div class="blank" data-empty>
      <h2>{says.noRuns.title}</h2>
      <p>{says.noRuns.text(at.name, at.namespace).map((part, i) => (i % 2 ? <code key={i}>{part}</code> : part))}</p>
      <p class="soft">{says.noRuns.what}</p>
    </div>
  );
}

function Known({ store, at }: { store: RunsStore; at: PipelinePlace }) {
  const runs = store.runs.value ?? [];
  const hidden = store.active.value - runs.filter(r => !isOver(r.status)).length;
  /** Takes a run in or out of the comparison; with a third one the first goes. */
  const choose = (id: string): void => {
    const compare = at.compare.includes(id) ? at.compare.filter(c => c !== id) : [...at.compare, id].slice(-2);
    go({ ...at, compare }, true);
    say(compare.length === 2 ? 'Two runs are compared below the table.' : `${plural(compare.length, 'run')} chosen.`);
  };
  return (
    <>
      {runs.length > 0 ? (
        <>
          <Trends runs={runs} />
          <Matrix runs={runs} at={at} choose={choose} />
        </>
      ) : null}
      <p class="soft" role="status" data-searched>
        {store.busy.value && runs.length === 0
          ? says.reading
          : `${plural(runs.length, 'run')}. ${hidden > 0 ? `${plural(hidden, 'more goes', 'more go')} on, older than these. ` : ''}${
              store.next.value
                ? `Ended ones were searched back to ${store.searched.value.slice(0, 10)}.`
                : 'There are no earlier ones in the kept history.'
            }`}
      </p>
      {store.next.value && runs.length < mostRuns ? (
        <button type="button" onClick={() => void store.more()} aria-disabled={store.busy.value} data-earlier>
          {store.busy.value ? says.reading : 'Earlier runs'}
        </button>
      ) : null}
      <Compared at={at} runs={runs} readAt={store.readAt.value} />
    </>
  );
}
