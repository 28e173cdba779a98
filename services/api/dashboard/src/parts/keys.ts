// Keys of a page. None while somebody types, and none with a modifier: those belong to the browser.
import { useLayoutEffect } from 'preact/hooks';

export type Keys = Record<string, (e: KeyboardEvent) => void>;

export function useKeys(keys: Keys): void {
  useLayoutEffect(() => {
    const on = (e: KeyboardEvent): void => {
      if (e.metaKey || e.ctrlKey || e.altKey || e.defaultPrevented) return;
      const at = e.target as HTMLElement | null;
      const types =
        at instanceof HTMLInputElement || at instanceof HTMLSelectElement || at instanceof HTMLTextAreaElement;
      if (types || document.querySelector('dialog[open]')) return;
      if ((e.key === 'ArrowDown' || e.key === 'ArrowUp') && at?.closest('[role=tablist], pre, .scrolls')) return;
      const f = keys[e.key];
      if (!f) return;
      e.preventDefault();
      f(e);
    };
    addEventListener('keydown', on);
    return () => removeEventListener('keydown', on);
  }, [keys]);
}
