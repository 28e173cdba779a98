// A part that may be wider than the page: it scrolls by itself, by keyboard too.
import type { ComponentChildren } from 'preact';

export function Wide({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div class="wide scrolls" tabIndex={0} role="region" aria-label={label}>
      {children}
    </div>
  );
}
