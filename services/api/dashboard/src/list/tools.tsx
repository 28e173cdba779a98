// What makes the list a tool: groups, times, columns, saved views.
import { useSignal } from '@preact/signals';
import { type Column, heads, optional, usual } from '../lib/columns';
import { base, type Grouping, groupings, href, type ListPlace, parsePlace } from '../lib/route';
import { Dialog } from '../parts/help';
import { density, dropView, keepView, views } from '../state/prefs';
import { go } from '../state/router';

const ranges: [string, string][] = [
  ['', 'Any time'],
  ['1h', 'Last hour'],
  ['24h', 'Last 24 hours'],
  ['7d', 'Last 7 days'],
  ['30d', 'Last 30 days'],
];

/** A moment as a field for local time has it. */
function field(text: string): string {
  const t = new Date(text);
  if (Number.isNaN(t.getTime())) return '';
  return new Date(t.getTime() - t.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const moment = (value: string): string => (value ? new Date(value).toISOString() : '');

export function Tools({ at }: { at: ListPlace }) {
  const open = useSignal(false);
  const time = at.from || at.to ? 'between' : at.since;
  const known = ranges.some(([value]) => value === time) || time === 'between';
  return (
    <>
      <label class="pick">
        <span>Group by</span>
        <select
          value={at.group ?? ''}
          onChange={e => {
            const group = (e.currentTarget.value || null) as Grouping | null;
            go({ ...at, group, cause: '', alike: '', pipeline: [], owner: [] });
          }}
        >
          <option value="">nothing</option>
          {groupings.map(g => (
            <option key={g} value={g}>
              {g}
            </option>
          ))}
        </select>
      </label>
      <label class="pick">
        <span>Created</span>
        <select
          value={time}
          onChange={e => {
            const since = e.currentTarget.value;
            if (since === 'between') open.value = true;
            else go({ ...at, since, from: '', to: '' });
          }}
        >
          {ranges.map(([value, word]) => (
            <option key={value} value={value}>
              {word}
            </option>
          ))}
          {known ? null : <option value={time}>Last {time}</option>}
          <option value="between">Between…</option>
        </select>
      </label>
      <button type="button" class="chip" aria-haspopup="dialog" onClick={() => (open.value = true)}>
        View
      </button>
      <Dialog open={open.value} close={() => (open.value = false)} label="View" kind="box">
        <View at={at} close={() => (open.value = false)} />
      </Dialog>
    </>
  );
}

function View({ at, close }: { at: ListPlace; close: () => void }) {
  const shown = at.columns ?? usual;
  const toggle = (c: Column): void => {
    const next = optional.filter(o => (o === c ? !shown.includes(c) : shown.includes(o)));
    go({ ...at, columns: next.join() === usual.join() ? null : next }, true);
  };
  return (
    <div class="view">
      <fieldset>
        <legend>Columns</legend>
        {optional.map(c => (
          <label key={c}>
            <input type="checkbox" checked={shown.includes(c)} onChange={() => toggle(c)} /> {heads[c].label}
          </label>
        ))}
      </fieldset>
      <fieldset>
        <legend>Rows</legend>
        <label>
          <input
            type="checkbox"
            checked={density.value === 'compact'}
            onChange={e => (density.value = e.currentTarget.checked ? 'compact' : 'usual')}
          />{' '}
          Compact: more rows, one line each
        </label>
      </fieldset>
      <fieldset>
        <legend>Created between</legend>
        <label>
          From{' '}
          <input
            type="datetime-local"
            value={field(at.from)}
            onChange={e => go({ ...at, since: '', from: moment(e.currentTarget.value) }, true)}
          />
        </label>
        <label>
          To{' '}
          <input
            type="datetime-local"
            value={field(at.to)}
            onChange={e => go({ ...at, since: '', to: moment(e.currentTarget.value) }, true)}
          />
        </label>
      </fieldset>
      <Views at={at} close={close} />
    </div>
  );
}

/** Named lists, kept in this browser. */
function Views({ at, close }: { at: ListPlace; close: () => void }) {
  const address = (query: string): string => `${base}/${query ? `?${query}` : ''}`;
  const save = (form: HTMLFormElement): void => {
    const input = form.elements.namedItem('name') as HTMLInputElement;
    const name = input.value.trim();
    if (!name) return;
    keepView({ name, query: href(at).split('?')[1] ?? '' });
    input.value = '';
  };
  return (
    <fieldset>
      <legend>Saved views</legend>
      {views.value.length === 0 ? <p class="soft">None is saved in this browser yet.</p> : null}
      <ul class="plain">
        {views.value.map(v => (
          <li key={v.name}>
            <a
              href={address(v.query)}
              onClick={e => {
                e.preventDefault();
                go(parsePlace(new URL(address(v.query), location.origin)));
                close();
              }}
            >
              {v.name}
            </a>
            <button
              type="button"
              class="linkish"
              onClick={() => dropView(v.name)}
              aria-label={`Remove the view ${v.name}`}
            >
              Remove
            </button>
          </li>
        ))}
      </ul>
      <form
        class="token"
        onSubmit={e => {
          e.preventDefault();
          save(e.currentTarget);
        }}
      >
        <label>
          Name of what is shown now
          <input name="name" maxLength={60} autocomplete="off" required />
        </label>
        <button type="submit">Save</button>
      </form>
    </fieldset>
  );
}
