import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { eventReader } from '../../src/events.ts';

interface Case {
  name: string;
  stream: string;
  events: { event: string; data: string; id: string }[];
  retry?: number;
}

// What the public tests of EventSource send, as the specification has it read. The client in Go replays the same file.
const file = new URL('../../../../pkg/client/testdata/eventsource.json', import.meta.url);
const cases = JSON.parse(readFileSync(file, 'utf8')) as Case[];

function read(pieces: Uint8Array[]) {
  let retry: number | undefined;
  let last = '';
  const events: Case['events'] = [];
  const feed = eventReader({
    event: e => {
      last = e.id ?? last;
      events.push({ event: e.event ?? 'message', data: e.data, id: last });
    },
    retry: ms => {
      retry = ms;
    },
  });
  for (const p of pieces) feed(p);
  return { events, retry };
}

describe('an event stream', () => {
  it.each(cases)('$name', ({ stream, events, retry }) => {
    const bytes = new TextEncoder().encode(stream);
    expect(read([bytes])).toEqual({ events, retry });
    expect(read([...bytes].map(b => Uint8Array.of(b)))).toEqual({ events, retry });
  });
});
