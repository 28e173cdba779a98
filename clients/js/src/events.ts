import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { HeadwayError } from './errors.ts';

const maxEvent = 64 << 20; // characters; the largest batches take some megabytes

/** Receives the parts of an event stream. */
export interface Parts {
  event(e: EventSourceMessage): void;
  /** Milliseconds after which the server wants clients to reconnect. */
  retry(ms: number): void;
}

/** Parses an event stream whose bytes may arrive in chunks of any size. */
export function eventReader(parts: Parts): (piece: Uint8Array) => void {
  const parser = createParser({
    maxBufferSize: maxEvent,
    onRetry: parts.retry,
    onEvent: parts.event,
    onError: e => {
      if (e.type === 'max-buffer-size-exceeded')
        throw new HeadwayError('an event beyond all bounds', { type: 'bad_answer' });
    },
  });
  const text = new TextDecoder(); // also drops the byte order mark that a stream may start with
  return piece => parser.feed(text.decode(piece, { stream: true }));
}
