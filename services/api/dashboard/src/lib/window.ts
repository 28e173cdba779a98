// Which rows of a long list are on screen. Pure, so that its edges are tested without a browser.

export interface Window {
  from: number;
  /** One behind the last. */
  to: number;
}

/** Rows of one height that a viewport shows, with some more at both ends. */
export function visible(total: number, rowHeight: number, scrolled: number, viewport: number, more: number): Window {
  if (total <= 0) return { from: 0, to: 0 };
  const first = Math.floor(Math.max(0, scrolled) / rowHeight);
  const shown = Math.ceil(Math.max(0, viewport) / rowHeight) + 1;
  const from = Math.min(Math.max(0, first - more), total - 1);
  return { from, to: Math.min(total, Math.max(from + 1, first + shown + more)) };
}

/** The indexes to put on the page: the window, and the row that has the focus, which must not vanish. */
export function indexes(w: Window, focused: number | null, total: number): number[] {
  const out: number[] = [];
  if (focused !== null && focused >= 0 && focused < w.from) out.push(focused);
  for (let i = w.from; i < w.to; i++) out.push(i);
  if (focused !== null && focused >= w.to && focused < total) out.push(focused);
  return out;
}
