// Which page is shown, and the two streams behind them: one for the list, one for the open batch.
import { connecting } from '@headway/client';
import { useEffect, useMemo } from 'preact/hooks';
import { BatchView } from './batch/page';
import { href, listPlace } from './lib/route';
import { ListView } from './list/page';
import { Shell } from './parts/shell';
import { BatchStore } from './state/batch';
import { presented } from './state/client';
import { ListStore } from './state/list';
import { place } from './state/router';

export function App() {
  const at = place.value;
  switch (at.page) {
    case 'list':
      return <ListPage key={`${at.namespace} ${presented.value}`} namespace={at.namespace} />;
    case 'batch':
      return <BatchPage key={`${at.namespace} ${at.id} ${presented.value}`} namespace={at.namespace} id={at.id} />;
  }
  return (
    <Shell namespace={at.namespace} connection={connecting}>
      <div class="blank" data-missing>
        <h1>No such page</h1>
        <p>
          <a class="button" href={href(listPlace(at.namespace))} data-app>
            All batches
          </a>
        </p>
      </div>
    </Shell>
  );
}

function ListPage({ namespace }: { namespace: string }) {
  const store = useMemo(() => new ListStore(namespace), [namespace]);
  useEffect(() => {
    store.open();
    return () => store.close();
  }, [store]);
  const at = place.value;
  return at.page === 'list' ? <ListView store={store} at={at} /> : null;
}

function BatchPage({ namespace, id }: { namespace: string; id: string }) {
  const store = useMemo(() => new BatchStore(namespace, id), [namespace, id]);
  useEffect(() => {
    store.open();
    return () => store.close();
  }, [store]);
  const at = place.value;
  return at.page === 'batch' ? <BatchView store={store} at={at} /> : null;
}
