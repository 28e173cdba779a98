import { useEffect } from 'preact/hooks';
import { phase, session } from './session';

/** Streams are open while one is signed in, and begin anew with each session. */
export function useOpen(store: { open(): void; close(): void }): void {
  const out = phase.value === 'out';
  useEffect(() => {
    if (out) return;
    store.open();
    return () => store.close();
  }, [store, out, session.value]);
}
