import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { at } from '../lib/route';

export const helpOpen = signal(false);

const keys: [string, string][] = [
  ['/', 'search'],
  ['j, ↓', 'next batch, or next tier'],
  ['k, ↑', 'the one before'],
  ['Enter', 'open it'],
  ['u', 'show waiting updates'],
  ['x', 'select the batch'],
  ['c', 'compact rows'],
  ['e', 'evidence of the verdict'],
  ['b', 'back to the list'],
  ['t', 'local time or UTC'],
  ['?', 'this help'],
  ['Esc', 'close, or leave the search'],
];

export function Help() {
  return (
    <Dialog open={helpOpen.value} close={() => (helpOpen.value = false)} label="Keyboard" kind="box">
      <dl class="keys">
        {keys.map(([key, what]) => (
          <div key={key}>
            <dt>
              {key.split(', ').map(k => (
                <kbd key={k}>{k}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p class="soft">
        Stuck, degraded, scaling, OK: that is the order of need. <a href={at('docs')}>The API</a> says all that this
        page shows.
      </p>
    </Dialog>
  );
}

interface DialogProps {
  open: boolean;
  close: () => void;
  label: string;
  kind: 'box' | 'drawer';
  children: preact.ComponentChildren;
}

/** The browser's own dialog: it keeps the focus, closes on Escape, and gives the focus back. */
export function Dialog({ open, close, label, kind, children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const d = ref.current;
    if (!d) return;
    if (open && !d.open) d.showModal();
    if (!open && d.open) d.close();
  }, [open]);
  const outside = (e: MouseEvent): void => {
    if (e.target === ref.current) close();
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog by itself; a click beside it is for the pointer
    <dialog ref={ref} class={kind} aria-label={label} onClose={close} onClick={outside}>
      {open ? (
        <div class="inside">
          <header>
            <h2>{label}</h2>
            <button type="button" class="quiet" onClick={close} aria-label="Close">
              <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
                <path d="M3.5 3.5l9 9M12.5 3.5l-9 9" />
              </svg>
            </button>
          </header>
          {children}
        </div>
      ) : null}
    </dialog>
  );
}
