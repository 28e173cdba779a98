// The address bar is the state of the page; this keeps both the same.
import { signal } from '@preact/signals';
import { href, type Place, parsePlace } from '../lib/route';

export const place = signal<Place>(parsePlace(new URL(location.href)));

/** Goes somewhere. `replace` where going back to what was would be no use, as between two letters of a search. */
export function go(to: Place, replace = false): void {
  const at = href(to);
  if (at === location.pathname + location.search) return;
  const leaving = place.value.page !== to.page;
  if (replace) history.replaceState(history.state, '', at);
  else history.pushState(null, '', at);
  place.value = parsePlace(new URL(location.href));
  if (leaving) scrollTo(0, 0);
}

export function follow(): void {
  history.scrollRestoration = 'manual';
  addEventListener('popstate', () => {
    place.value = parsePlace(new URL(location.href));
  });
  addEventListener('click', e => {
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    const a = (e.target as Element | null)?.closest?.('a[data-app]');
    if (!(a instanceof HTMLAnchorElement)) return;
    e.preventDefault();
    go(parsePlace(new URL(a.href)));
  });
}
