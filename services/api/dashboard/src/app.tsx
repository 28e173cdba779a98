// Which page is shown, and the two streams behind them: one for the list, one for the open batch.
import { connecting } from '@headway/client';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { BatchView } from './batch/page';
import { href, listPlace, type PipelinePlace } from './lib/route';
import { noPage, notLoaded, reading } from './lib/texts';
import { ListView } from './list/page';
import { Shell } from './parts/shell';
import { Asking } from './parts/signin';
import { Namespaces } from './parts/who';
import type { PipelineView } from './pipeline/page';
import { BatchStore } from './state/batch';
import { ListStore } from './state/list';
import { useOpen } from './state/open';
import { place } from './state/router';
import { guarded, identity, me, phase } from './state/session';

export function App() {
  const at = place.value;
  const who = identity(me.value); // what one reader has seen is not kept for another
  if (guarded && me.value === null) {
    return (
      <Shell namespace={at.namespace} connection={connecting}>
        {phase.value === 'asking' ? <Asking /> : null}
      </Shell>
    );
  }
  if (me.value?.default_namespace === null && !at.namespace && at.page !== 'none') return <Choice />;
  switch (at.page) {
    case 'list':
      return <ListPage key={`${at.namespace} ${who}`} namespace={at.namespace} />;
    case 'batch':
      return <BatchPage key={`${at.namespace} ${at.id} ${who}`} namespace={at.namespace} id={at.id} />;
  }
  if (at.page === 'pipeline') return <PipelinePage key={`${at.namespace} ${at.name} ${who}`} at={at} />;
  return (
    <Shell namespace={at.namespace} connection={connecting}>
      <div class="blank" data-missing>
        <h1>{noPage.title}</h1>
        <p>{noPage.text}</p>
        <p>
          <a class="button" href={href(listPlace(at.namespace))} data-app>
            All batches
          </a>
        </p>
      </div>
    </Shell>
  );
}

/** Its code is loaded by whoever opens one. */
function PipelinePage({ at }: { at: PipelinePlace }) {
  const [view, setView] = useState<{ View: typeof PipelineView } | 'failed' | null>(null);
  useEffect(() => {
    import('./pipeline/page').then(
      m => setView({ View: m.PipelineView }),
      () => setView('failed'),
    );
  }, []);
  if (view && view !== 'failed') return <view.View at={at} />;
  return (
    <Shell namespace={at.namespace} connection={null}>
      <div class="blank" aria-busy={view === null}>
        <h1>{at.name}</h1>
        <p role={view ? 'alert' : undefined}>{view ? notLoaded : reading}</p>
      </div>
    </Shell>
  );
}

/** For readers whom the API gives no namespace that it takes for a request which names none. */
function Choice() {
  return (
    <Shell namespace="" connection={connecting}>
      <div class="blank">
        <h1>Your namespaces</h1>
        <Namespaces />
      </div>
    </Shell>
  );
}

function ListPage({ namespace }: { namespace: string }) {
  const store = useMemo(() => new ListStore(namespace), [namespace]);
  useOpen(store);
  const at = place.value;
  return at.page === 'list' ? <ListView store={store} at={at} /> : null;
}

function BatchPage({ namespace, id }: { namespace: string; id: string }) {
  const store = useMemo(() => new BatchStore(namespace, id), [namespace, id]);
  useOpen(store);
  const at = place.value;
  return at.page === 'batch' ? <BatchView store={store} at={at} /> : null;
}
