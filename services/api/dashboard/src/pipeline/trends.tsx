// Three figures from run to run. The table below has each of them as text.
import type { Run } from '../api';
import { count, plural, span } from '../lib/format';
import { isOver, standing } from '../lib/health';
import { trendWords } from '../lib/trend';

const height = 56;
const bar = 10;
const gap = 4;

export function Trends({ runs }: { runs: Run[] }) {
  const over = runs.filter(r => isOver(r.status));
  if (over.length < 2) return null;
  const failed = over.filter(r => r.status === 'FAILED').length;
  const documents = over.reduce((sum, r) => sum + r.failed_documents, 0);
  return (
    <section class="trends" aria-label="From run to run, those that have ended">
      <Trend
        name="Duration"
        runs={over}
        of={r => r.duration_seconds}
        says={trendWords(
          over.map(r => r.duration_seconds),
          span,
        )}
      />
      <Trend
        name="Waited for Ray"
        runs={over}
        of={r => r.queue_seconds}
        says={trendWords(
          over.map(r => r.queue_seconds),
          span,
        )}
      />
      <Trend
        name="Failures"
        runs={over}
        of={r => Math.max(r.failed_documents, r.failed_tier_count, r.status === 'FAILED' ? 1 : 0)}
        says={`${count(failed)} of ${plural(over.length, 'run')} failed; ${plural(documents, 'document')} failed`}
      />
    </section>
  );
}

interface TrendProps {
  name: string;
  runs: Run[];
  of(r: Run): number | null;
  says: string;
}

/** A bar for each run, its height on one scale from nothing to the largest. */
function Trend({ name, runs, of, says }: TrendProps) {
  const most = Math.max(...runs.map(r => of(r) ?? 0), 0.001);
  const width = runs.length * (bar + gap);
  return (
    <figure data-trend={name}>
      <figcaption>
        <strong>{name}</strong> <span class="soft">{says}</span>
      </figcaption>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={`${name} of ${plural(runs.length, 'run')}: ${says}`}
      >
        <line x1="0" x2={width} y1={height - 0.5} y2={height - 0.5} />
        {runs.map((r, i) => {
          const n = of(r) ?? 0;
          const h = n > 0 ? Math.max(2, (n / most) * (height - 4)) : 0;
          return (
            <rect
              key={r.batch_id}
              class={standing(r).mark}
              x={i * (bar + gap) + gap / 2}
              y={height - h}
              width={bar}
              height={h}
            />
          );
        })}
      </svg>
    </figure>
  );
}
