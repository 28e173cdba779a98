// Small things that many places show.
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { percent } from '../lib/format';
import { href, pipelinePlace } from '../lib/route';
import { clock, iso, moment, parse } from '../lib/time';
import { second } from '../state/clock';
import { zone } from '../state/prefs';

/** A moment, in the zone chosen; hover has the ISO form. */
export function Time({ at, alone = false }: { at: string | Date | null | undefined; alone?: boolean }) {
  const t = typeof at === 'string' ? parse(at) : at;
  if (!t) return <span class="soft">–</span>;
  return (
    <time dateTime={iso(t)} title={iso(t)}>
      {alone ? clock(t, zone.value) : moment(t, new Date(second.value), zone.value)}
    </time>
  );
}

export function Bar({ value, label, tone = '' }: { value: number; label?: string; tone?: string }) {
  const width = Math.min(100, Math.max(0, value));
  return (
    <span class={`bar ${tone}`} role="img" aria-label={label ?? percent(value)}>
      <span style={{ transform: `scaleX(${width / 100})` }} />
    </span>
  );
}

const copied = signal<string | null>(null);

/** Copies `text`; the button says what it will copy, and that it has. */
export function Copy({ text, what, children }: { text: string; what: string; children?: ComponentChildren }) {
  const done = copied.value === text + what;
  const copy = async (): Promise<void> => {
    if (!(await write(text))) return;
    copied.value = text + what;
    setTimeout(() => {
      if (copied.value === text + what) copied.value = null;
    }, 1600);
  };
  return (
    <button
      type="button"
      class={`copy ${children ? '' : 'bare'}`}
      onClick={copy}
      title={`Copy ${what}`}
      aria-label={done ? `Copied ${what}` : `Copy ${what}`}
    >
      <svg width="14" height="14" viewBox="0 0 16 16" aria-hidden="true">
        {done ? <path d="M3 8.5l3.2 3.2L13 5" /> : <path d="M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z" />}
      </svg>
      {children ? <span>{done ? 'Copied' : children}</span> : null}
    </button>
  );
}

/** Without a secure origin browsers have no clipboard API; an older way works there. */
async function write(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'offscreen';
    const host = document.querySelector('dialog[open]') ?? document.body;
    const focused = document.activeElement as HTMLElement | null;
    host.append(area);
    area.select();
    const ok = document.execCommand('copy');
    area.remove();
    focused?.focus();
    return ok;
  }
}

/** The way to the runs of a pipeline. */
export function PipelineLink({ namespace, name, children }: { namespace: string; name: string; children?: string }) {
  return (
    <a href={href(pipelinePlace(namespace, name))} data-app title={`All runs of ${name}`}>
      {children ?? name}
    </a>
  );
}

/** A command to copy, as it is. */
export function Command({ text, what }: { text: string; what: string }) {
  return (
    <div class="command">
      <pre tabIndex={0} role="region" aria-label={what}>
        <code>{text}</code>
      </pre>
      <Copy text={text} what={what} />
    </div>
  );
}

export function Id({ text, what }: { text: string; what: string }) {
  return (
    <span class="id">
      <code>{text}</code>
      <Copy text={text} what={what} />
    </span>
  );
}

export function Facts({ rows }: { rows: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {rows
        .filter(([, v]) => v !== null && v !== undefined && v !== '')
        .map(([k, v]) => (
          <div key={k}>
            <dt>{k}</dt>
            <dd>{v}</dd>
          </div>
        ))}
    </dl>
  );
}
