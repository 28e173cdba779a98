import {
  type BatchWatchOptions,
  type ConnectionState,
  connecting,
  type Headway,
  type Snapshot,
  type Watch,
} from '@headway/client';
import { createContext, useContext, useEffect, useMemo, useRef, useSyncExternalStore } from 'react';

const Client = createContext<Headway | null>(null);

/** Provides the client to all components below it: `<HeadwayProvider value={headway}>`. */
export const HeadwayProvider = Client.Provider;

export interface UseBatchOptions extends Pick<BatchWatchOptions, 'onHealth' | 'onEnd'> {
  /** Overrides the provider's client. */
  client?: Headway;
  /** How many milliseconds to wait for a batch that nobody has heard of, see BatchWatchOptions. Default: no limit. */
  timeout?: number;
}

export interface UseBatch {
  /** The newest snapshot; null until the first has arrived. */
  snapshot: Snapshot | null;
  connection: ConnectionState;
}

const nothing: UseBatch = { snapshot: null, connection: connecting };

/** Watches a batch. All hooks for the same batch share one connection, which is closed with the last of them. */
export function useBatch(id: string, options: UseBatchOptions = {}): UseBatch {
  const provided = useContext(Client);
  const client = options.client ?? provided;
  if (!client) throw new Error('useBatch needs a HeadwayProvider above it, or the option client');
  const { timeout } = options;
  const hooks = useRef(options);
  useEffect(() => {
    hooks.current = options;
  });
  const store = useMemo(() => {
    let shown = nothing;
    const subscribe = (changed: () => void) => {
      const take = () => {
        shown = { snapshot: watch.latest, connection: watch.connection };
        changed();
      };
      const watch: Watch<Snapshot> = client.watchBatch(id, {
        onSnapshot: take,
        onConnection: take,
        ...(timeout === undefined ? {} : { timeout }),
        onHealth: (s, from) => hooks.current.onHealth?.(s, from),
        onEnd: s => hooks.current.onEnd?.(s),
      });
      return () => watch.close();
    };
    return { subscribe, shown: () => shown };
  }, [client, id, timeout]);
  return useSyncExternalStore(store.subscribe, store.shown, () => nothing);
}
