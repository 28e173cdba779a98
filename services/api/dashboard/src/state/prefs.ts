// What a person prefers, kept in this browser: the zone of times, the theme, whether the list follows by itself.
import { effect, type Signal, signal } from '@preact/signals';
import type { Zone } from '../lib/time';

export type Theme = 'auto' | 'light' | 'dark' | 'contrast';

function kept<T extends string>(key: string, allowed: readonly T[]): Signal<T> {
  const first = allowed[0] as T;
  const s = signal(first);
  try {
    const value = localStorage.getItem(key) as T | null;
    if (value && allowed.includes(value)) s.value = value;
  } catch {
    return s; // storage is refused: it holds until the page is closed
  }
  effect(() => localStorage.setItem(key, s.value));
  return s;
}

export const zone = kept<Zone>('headway.zone', ['local', 'utc']);
export const themes = ['auto', 'light', 'dark', 'contrast'] as const;
export const theme = kept<Theme>('headway.theme', themes);

export const density = kept<'usual' | 'compact'>('headway.rows', ['usual', 'compact']);

/** A list that a reader has named: what follows the ? in its address. */
export interface View {
  name: string;
  query: string;
}

const viewsKey = 'headway.views';

function keptViews(): View[] {
  try {
    const all = JSON.parse(localStorage.getItem(viewsKey) ?? '[]') as View[];
    return Array.isArray(all) ? all.filter(v => typeof v?.name === 'string' && typeof v?.query === 'string') : [];
  } catch {
    return []; // storage is refused, or something else wrote there
  }
}

export const views = signal<View[]>(keptViews());

/** Keeps a view; one of the same name is replaced. */
export function keepView(v: View): void {
  setViews([...views.value.filter(o => o.name !== v.name), v].sort((a, b) => a.name.localeCompare(b.name)));
}

export const dropView = (name: string): void => setViews(views.value.filter(v => v.name !== name));

function setViews(all: View[]): void {
  views.value = all;
  try {
    localStorage.setItem(viewsKey, JSON.stringify(all));
  } catch {
    // they hold until the page is closed
  }
}

/** Sets the theme on the document, and follows the system where that decides. */
export function applyTheme(): void {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const more = matchMedia('(prefers-contrast: more)');
  const apply = (): void => {
    const scheme = theme.value === 'light' || theme.value === 'dark' ? theme.value : dark.matches ? 'dark' : 'light';
    const root = document.documentElement;
    root.dataset.scheme = scheme;
    root.dataset.contrast = theme.value === 'contrast' || (theme.value === 'auto' && more.matches) ? 'more' : 'normal';
    root.style.colorScheme = scheme;
  };
  dark.addEventListener('change', apply);
  more.addEventListener('change', apply);
  effect(apply);
}
