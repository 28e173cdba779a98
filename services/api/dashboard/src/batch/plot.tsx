// A tier's documents over time.
import type { ReadonlySignal } from '@preact/signals';
import type { TierDiagnostic } from '../api';
import { ticks } from '../lib/axis';
import { count } from '../lib/format';
import { clock, iso } from '../lib/time';
import { zone } from '../state/prefs';

const width = 420;
const height = 132;
const foot = 18;

export function Plot({ tier: t, now }: { tier: TierDiagnostic; now: ReadonlySignal<number> }) {
  const points = t.series.points as [number, number][];
  const first = points[0];
  const last = points[points.length - 1];
  if (!first || !last || points.length < 2) return <div class="plot none soft">No progress was reported yet.</div>;
  const from = first[0] * 1000;
  const to = Math.max(t.completed_at ? Date.parse(t.completed_at) : now.value, last[0] * 1000 + 1000);
  const top = Math.max(t.progress.total_documents, last[1], 1);
  const x = (ms: number): number => Math.round(((ms - from) / (to - from)) * width * 10) / 10;
  const y = (n: number): number => Math.round((height - foot - (n / top) * (height - foot - 8)) * 10) / 10;
  let line = `M${x(from)} ${y(first[1])}`;
  for (const [second, n] of points.slice(1)) line += `L${x(second * 1000)} ${y(n)}`;
  const end = x(last[0] * 1000);
  const offset = zone.value === 'utc' ? 0 : -new Date(from).getTimezoneOffset();
  return (
    <figure class="plot">
      <svg
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={`Documents over time: ${count(last[1])} of ${count(top)} at ${iso(new Date(last[0] * 1000))}`}
      >
        {t.progress.total_documents > 0 ? <line class="goal" x1="0" x2={width} y1={y(top)} y2={y(top)} /> : null}
        <line class="base" x1="0" x2={width} y1={height - foot} y2={height - foot} />
        {ticks(from, to, 4, offset).map(tick => (
          <g key={tick}>
            <line class="base" x1={x(tick)} x2={x(tick)} y1={height - foot} y2={height - foot + 4} />
            <text x={Math.min(width - 24, Math.max(24, x(tick)))} y={height - 3} text-anchor="middle">
              {clock(new Date(tick), zone.value, to - from < 300_000)}
            </text>
          </g>
        ))}
        <path class="area" d={`${line}L${end} ${height - foot}L0 ${height - foot}Z`} />
        <path class="line" d={line} />
        {t.completed_at === null ? <line class="rest" x1={end} x2={width} y1={y(last[1])} y2={y(last[1])} /> : null}
        <circle cx={end} cy={y(last[1])} r="3" />
      </svg>
      <figcaption class="soft">
        documents processed
        {t.progress.total_documents > 0 ? `; the line on top is all ${count(t.progress.total_documents)}` : ''}
      </figcaption>
    </figure>
  );
}
