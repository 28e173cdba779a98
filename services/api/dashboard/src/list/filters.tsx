import type { RefObject } from 'preact';
import type { Counts } from '../api';
import { count } from '../lib/format';
import { healths, healthWords, statuses } from '../lib/health';
import { words } from '../lib/reason';
import { type ListPlace, toggled } from '../lib/route';
import { Icon } from '../parts/icons';
import { go } from '../state/router';
import { Tools } from './tools';

interface Props {
  at: ListPlace;
  counts: Counts | null;
  search: RefObject<HTMLInputElement | null>;
}

/** Counters of the whole namespace; each is also the filter for what it counts. */
export function Filters({ at, counts, search }: Props) {
  const pick = (change: Partial<ListPlace>): void => go({ ...at, ...change });
  return (
    <section class="filters" aria-label="Filters">
      <div class="counters" role="group" aria-label="By health">
        {healths.map(h => {
          const { mark, word } = healthWords(h);
          const n = counts?.health[h] ?? 0;
          return (
            <button
              key={h}
              type="button"
              class={`counter ${mark} ${n === 0 ? 'zero' : ''}`}
              aria-pressed={at.health.includes(h)}
              onClick={() => pick({ health: toggled(at.health, h) })}
            >
              <Icon mark={mark} size={18} />
              <span class="n">{counts ? count(n) : '–'}</span>
              <span class="word">{word}</span>
            </button>
          );
        })}
      </div>
      <div class="second">
        <div class="chips" role="group" aria-label="By status">
          {(['pipeline', 'owner'] as const).flatMap(kind =>
            at.group === kind
              ? []
              : at[kind].map(name => (
                  <button
                    key={kind + name}
                    type="button"
                    class="chip"
                    aria-pressed="true"
                    onClick={() => pick({ [kind]: at[kind].filter(n => n !== name) })}
                  >
                    {kind} {name || 'none'} <span aria-hidden="true">×</span>
                  </button>
                )),
          )}
          {statuses
            .filter(s => (counts?.status[s] ?? 0) > 0 || at.status.includes(s))
            .map(s => (
              <button
                key={s}
                type="button"
                class="chip"
                aria-pressed={at.status.includes(s)}
                onClick={() => pick({ status: toggled(at.status, s) })}
              >
                {words(s)} <span class="n">{count(counts?.status[s] ?? 0)}</span>
              </button>
            ))}
        </div>
        <Tools at={at} />
        <form role="search" onSubmit={e => e.preventDefault()}>
          <label class="search">
            <span class="offscreen">Search by id, name, pipeline, owner or label</span>
            <svg width="14" height="14" viewBox="0 0 16 16" aria-hidden="true">
              <path d="M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5L14 14" />
            </svg>
            <input
              ref={search}
              type="search"
              aria-keyshortcuts="/"
              value={at.q}
              maxLength={200}
              placeholder="Search"
              onInput={e => go({ ...at, q: e.currentTarget.value }, at.q !== '')}
              onKeyDown={e => {
                if (e.key === 'Escape' && at.q === '') e.currentTarget.blur();
              }}
            />
            <span class="kbd" aria-hidden="true">
              /
            </span>
          </label>
        </form>
      </div>
    </section>
  );
}
