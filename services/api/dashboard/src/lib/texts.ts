// The texts of pages that have nothing to show: what is, why, and what to do. Each is written here, once.
import type { ConnectionState, HeadwayError } from '@headway/client';

export const asking = 'Asking Headway…';
export const reading = 'Reading…';
export const unreachable = "Headway can't be reached.";
export const keepsTrying = 'This page keeps trying.';
export const nothingLost = 'You need not do anything: it appears here as soon as it can be read.';

export const noPage = {
  title: 'There is no such page',
  text: 'The address has a part that Headway does not know. Perhaps it was cut or mistyped.',
};

export const awaited = {
  title: 'Nothing heard of this batch yet',
  text: (id: string, namespace: string): [string, string, string, string, string] => [
    'No event about the batch ',
    id,
    ' has arrived in the namespace ',
    namespace || 'default',
    ', as far as you may see.',
  ],
  what: 'This page waits, and shows the batch with its first event. If it should have begun, check its id, its namespace, and what sends its events.',
};

export const erased = {
  text: (at: string) => `This batch was erased${at ? ` on ${at}` : ''}.`,
  what: 'An operator removed everything that was known of it. Events that still come change nothing.',
};

export const badId = {
  title: 'No batch can have this id',
  text: 'An id has 1 to 384 bytes, without control characters.',
};

export const noData = {
  title: 'No data yet',
  draft: 'Headway knows that this batch exists, and nothing else.',
  tiers: 'No event has named a tier of this batch.',
  what: 'Tiers appear here with their first event.',
};

export const noRuns = {
  title: 'No run of this pipeline is known',
  text: (name: string, namespace: string): [string, string, string, string, string] => [
    'No batch of the pipeline ',
    name,
    ' is in the namespace ',
    namespace || 'default',
    ', as far as you may see.',
  ],
  what: 'A batch says which pipeline it belongs to with the field “pipeline” of its events. Its runs appear here with the first such event.',
};
export const notLoaded =
  'A part of this page could not be loaded. Perhaps Headway was upgraded meanwhile: load the page anew.';

export const rebuilding = 'The answer is being made anew from the event log.';

export const noMatch = 'No batch matches this filter.';
export const noGroup = 'No batch has a cause: nothing is wrong, and nothing waits.';

export const emptyList = {
  title: 'No batch yet',
  text: "Batches appear here as soon as Headway receives an event about one. You don't have to register them first.",
};

export const noNamespace = {
  title: 'No such namespace',
  what: 'It does not exist, or you may not see it.',
};

export const refused = 'The server refused to answer.';

/** Headway answers, and says that it can't: that is another trouble than no connection. */
export const isUnavailable = (c: ConnectionState): boolean =>
  c.state === 'disconnected' && (c.error?.status ?? 0) >= 500;

export const unavailable = "Headway is there, but can't read its data at the moment.";

export const unreadable = "The list can't be read. This page keeps trying.";

/** What an error says, as a sentence. */
export const because = (e: Error | HeadwayError | null): string => e?.message ?? '';

export const finishedNone = 'No batch of these days matches. All of them were searched.';
