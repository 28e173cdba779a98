// A batch as it was at a past moment. That doesn't change, so it is asked for once.
import { HeadwayError } from '@headway/client';
import { type Signal, signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import type { Snapshot } from '../api';
import { client } from './client';
import { refused } from './session';

/** The answer about a moment: none yet, a snapshot, or why there is none. `of` is the moment that it is about. */
export interface Past {
  of: string;
  snapshot: Snapshot | null;
  error: HeadwayError | null;
}

/** How long the address stays the same before its moment is asked for: a bar that is dragged passes many. */
const settles = 150;

/** Asks for the moment in the address, if there is one. Until the answer comes, the one before is kept. */
export function usePast(namespace: string, id: string, moment: string): Past | null {
  const [held] = useState<Signal<Past | null>>(() => signal(null));
  useEffect(() => {
    if (!moment) {
      held.value = null;
      return;
    }
    const stop = new AbortController();
    const timer = setTimeout(
      async () => {
        try {
          const snapshot = await client(namespace).diagnostics(id, { at: moment, signal: stop.signal });
          held.value = { of: moment, snapshot, error: null };
        } catch (e) {
          if (stop.signal.aborted || !(e instanceof HeadwayError)) return;
          refused(e);
          held.value = { of: moment, snapshot: null, error: e };
        }
      },
      held.value ? settles : 0,
    );
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [namespace, id, moment, held]);
  return moment ? held.value : null;
}
