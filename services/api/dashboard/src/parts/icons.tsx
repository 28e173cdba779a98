// Each health has a shape of its own, so that none is told by its colour alone.
import type { JSX } from 'preact';
import type { Mark } from '../lib/health';

const shapes: Record<Mark, JSX.Element> = {
  ok: (
    <>
      <circle cx="8" cy="8" r="6.2" />
      <path d="M5.2 8.2l2 2 3.6-4.2" />
    </>
  ),
  scaling: (
    <>
      <path d="M8 1.8a6.2 6.2 0 1 1-6.2 6.2" stroke-dasharray="3 2.2" />
      <path d="M8 11V5.4M5.6 7.6L8 5.2l2.4 2.4" />
    </>
  ),
  degraded: (
    <>
      <path d="M8 2.2l6.2 11.3H1.8z" />
      <path d="M8 6.4v3.4M8 11.4v.4" />
    </>
  ),
  stuck: (
    <>
      <path d="M5.4 1.8h5.2l3.6 3.6v5.2l-3.6 3.6H5.4l-3.6-3.6V5.4z" fill="currentColor" />
      <path class="cut" d="M4.8 8h6.4" />
    </>
  ),
  pending: (
    <>
      <circle cx="8" cy="8" r="6.2" />
      <path d="M8 4.6V8l2.4 1.6" />
    </>
  ),
  unknown: (
    <>
      <circle cx="8" cy="8" r="6.2" />
      <path d="M6.2 6.4c.2-2.2 3.8-2.1 3.6.2-.1 1.3-1.8 1.3-1.8 2.6M8 11.3v.4" />
    </>
  ),
};

export function Icon({ mark, size = 16 }: { mark: Mark; size?: number }) {
  return (
    <svg class={`icon ${mark}`} width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      {shapes[mark]}
    </svg>
  );
}

/** Icon and word, in the colour. */
export function MarkWord({ mark, word }: { mark: Mark; word: string }) {
  return (
    <span class={`mark ${mark}`}>
      <Icon mark={mark} />
      <span>{word}</span>
    </span>
  );
}
