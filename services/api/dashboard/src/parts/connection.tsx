// How fresh what is shown is. Always on the page, in words.
import type { ConnectionState } from '@headway/client';
import { span } from '../lib/format';
import type { Mark } from '../lib/health';
import { because, isUnavailable, unavailable } from '../lib/texts';
import { second } from '../state/clock';
import { Time } from './bits';
import { Icon } from './icons';

interface Says {
  mark: Mark;
  word: string;
}

const words: Record<ConnectionState['state'], Says> = {
  connecting: { mark: 'unknown', word: 'Connecting' },
  live: { mark: 'ok', word: 'Live' },
  waiting: { mark: 'unknown', word: 'Waiting' },
  behind: { mark: 'degraded', word: 'Behind' },
  disconnected: { mark: 'stuck', word: 'Disconnected' },
  paused: { mark: 'unknown', word: 'Paused' },
  ended: { mark: 'ok', word: 'Finished' },
  refused: { mark: 'stuck', word: 'Refused' },
};

export function Connection({ state: c }: { state: ConnectionState }) {
  const { mark, word } = isUnavailable(c) ? { mark: 'stuck' as const, word: 'Unavailable' } : words[c.state];
  const stale = c.staleSince && (c.state === 'behind' || c.state === 'disconnected' || c.state === 'paused');
  return (
    <span class={`connection ${c.state}`} data-state={c.state}>
      {c.state === 'live' ? <span class="pulse" aria-hidden="true" /> : <Icon mark={mark} size={14} />}
      <span>{word}</span>
      {stale ? (
        <span class="soft">
          as of <Time at={c.staleSince} alone />
        </span>
      ) : null}
      {c.nextTry ? <span class="soft">{nextTry(c.nextTry)}</span> : null}
    </span>
  );
}

function nextTry(at: Date): string {
  const left = (at.getTime() - second.value) / 1000;
  return left <= 0 ? 'trying now' : `next try in ${span(Math.ceil(left))}`;
}

/** The whole line that a page shows when it isn't live: what that means for what is seen. */
export function Staleness({ state: c }: { state: ConnectionState }) {
  if (c.state === 'behind') {
    return (
      <p class="notice degraded">
        <Icon mark="degraded" />
        <span>
          Headway itself is behind: this is how things were{' '}
          <strong>
            as of <Time at={c.staleSince} alone />
          </strong>
          . Nothing is judged later than that.
        </span>
      </p>
    );
  }
  if (c.state === 'disconnected') {
    return (
      <p class="notice stuck">
        <Icon mark="stuck" />
        <span>
          {isUnavailable(c) ? `${unavailable} ${because(c.error)}` : 'No connection to Headway.'}{' '}
          {c.staleSince ? (
            <>
              What you see is how things were{' '}
              <strong>
                as of <Time at={c.staleSince} alone />
              </strong>
              ; clocks stand still.{' '}
            </>
          ) : null}
          {c.nextTry ? `${capital(nextTry(c.nextTry))}.` : 'Trying now.'}
        </span>
      </p>
    );
  }
  return null;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
