// What stands around each page.
import type { ConnectionState } from '@headway/client';
import type { ComponentChildren } from 'preact';
import { href, listPlace } from '../lib/route';
import { zoneName } from '../lib/time';
import { said } from '../state/announce';
import { type Theme, theme, themes, zone } from '../state/prefs';
import { Connection } from './connection';
import { Help, helpOpen } from './help';
import { SignIn } from './signin';
import { Namespace, Who, WhoDialogs } from './who';

const themeWords: Record<Theme, string> = { auto: 'System', light: 'Light', dark: 'Dark', contrast: 'High contrast' };

export function Shell({
  namespace,
  connection,
  children,
}: {
  namespace: string;
  connection: ConnectionState | null; // null: the page isn't live, and says itself how old it is
  children: ComponentChildren;
}) {
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href={href(listPlace(namespace))} data-app>
          <svg width="20" height="20" viewBox="0 0 16 16" aria-hidden="true">
            <path d="M2 4h5M2 8h8M2 12h12" />
          </svg>
          Headway
        </a>
        <Namespace namespace={namespace} />
        {connection ? <Connection state={connection} /> : null}
        <div class="tools">
          <button
            type="button"
            class="quiet zone"
            onClick={() => (zone.value = zone.value === 'utc' ? 'local' : 'utc')}
            title={`Times are in ${zoneName(zone.value)}`}
            aria-label={`${zone.value === 'utc' ? 'UTC' : 'Local time'}: change the time zone`}
          >
            {zone.value === 'utc' ? 'UTC' : 'Local time'}
          </button>
          <label class="theme">
            <span class="offscreen">Theme</span>
            <select value={theme.value} onChange={e => (theme.value = e.currentTarget.value as Theme)}>
              {themes.map(t => (
                <option key={t} value={t}>
                  {themeWords[t]}
                </option>
              ))}
            </select>
          </label>
          <button type="button" class="quiet" onClick={() => (helpOpen.value = true)} aria-label="Keyboard and help">
            ?
          </button>
          <Who />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <p class="offscreen" aria-live="polite" data-said>
        {said.value}
      </p>
      <Help />
      <WhoDialogs namespace={namespace} />
      <SignIn />
    </>
  );
}
