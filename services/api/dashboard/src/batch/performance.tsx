// Where the time went, once a batch is over.
import type { PerformanceSummary, Snapshot } from '../api';
import { count, milliseconds, percent, rate, span } from '../lib/format';
import { isOver } from '../lib/health';
import { tierOf } from '../lib/tier';
import { Facts } from '../parts/bits';
import { Wide } from './wide';

const many = 200;

export function Performance({ s }: { s: Snapshot }) {
  const p = s.performance_summary;
  if (!p)
    return (
      <p class="soft none">
        {isOver(s.status) ? 'There is not enough data for a summary.' : 'The summary appears when the batch has ended.'}
      </p>
    );
  return (
    <div class="performance">
      <Division p={p} />
      <Facts
        rows={[
          ['In all', span(p.total_time_seconds)],
          ['Documents', count(p.documents_processed)],
          ['Failed', p.documents_failed > 0 ? count(p.documents_failed) : null],
          ['Pace', p.throughput_docs_per_second > 0 ? rate(p.throughput_docs_per_second) : null],
          ['Slowest stages', p.bottlenecks.join(', ')],
        ]}
      />
      {p.stages.length > 0 ? (
        <Wide label="Stages">
          <table>
            <caption>Stages, by the time they took</caption>
            <thead>
              <tr>
                <th scope="col">Stage</th>
                <th scope="col">Component</th>
                {['Runs', 'Share', 'Mean', 'p50', 'p95', 'p99', 'Longest'].map(h => (
                  <th key={h} scope="col" class="num">
                    {h}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {p.stages.slice(0, many).map(g => (
                <tr key={`${g.stage_name} ${g.component}`}>
                  <td>{g.stage_name}</td>
                  <td class="soft">{g.component}</td>
                  <td class="num">{count(g.execution_count)}</td>
                  <td class="num">{percent(g.pct_of_total)}</td>
                  <td class="num">{milliseconds(g.avg_time_ms)}</td>
                  {[g.p50_ms, g.p95_ms, g.p99_ms].map((q, i) => (
                    <td
                      key={i}
                      class="num"
                      title={g.quantile_error_ms ? `at most ${milliseconds(g.quantile_error_ms)} too high` : ''}
                    >
                      {q === null ? '–' : milliseconds(q)}
                    </td>
                  ))}
                  <td class="num">{milliseconds(g.max_time_ms)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Wide>
      ) : null}
      {p.tiers.length > 0 ? (
        <Wide label="Tiers">
          <table>
            <caption>Tiers</caption>
            <thead>
              <tr>
                <th scope="col">Tier</th>
                {['Lasted', 'Queued', 'Share', 'Pace'].map(h => (
                  <th key={h} scope="col" class="num">
                    {h}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {p.tiers.slice(0, many).map(t => (
                <tr key={t.tier_num}>
                  <td>Tier {tierOf(t.tier_num, s.total_tiers)}</td>
                  <td class="num">{span(t.duration_seconds)}</td>
                  <td class="num">{span(t.queue_seconds)}</td>
                  <td class="num">{percent(t.pct_of_total)}</td>
                  <td class="num">{t.docs_per_second === null ? '–' : rate(t.docs_per_second)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Wide>
      ) : null}
    </div>
  );
}

/** The five parts that sum to the whole. */
function Division({ p }: { p: PerformanceSummary }) {
  const parts: [string, string, number][] = [
    ['queued', 'waiting for Ray', p.queue_seconds],
    ['starting', 'cold start', p.cold_start_seconds],
    ['working', 'processing', p.processing_seconds],
    ['handover', 'between tiers', p.hand_over_seconds],
    ['idle', 'idle', p.idle_seconds],
  ];
  const total = Math.max(p.total_time_seconds, 0.001);
  return (
    <div class="division">
      <div class="track" aria-hidden="true">
        {parts.map(([kind, , n]) =>
          n > 0 ? <span key={kind} class={`seg ${kind}`} style={{ width: `${(n / total) * 100}%` }} /> : null,
        )}
      </div>
      <ul class="legend">
        {parts.map(([kind, word, n]) => (
          <li key={kind}>
            <span class={`swatch ${kind}`} aria-hidden="true" />
            <span>
              {word} <strong>{span(n)}</strong> <span class="soft">{percent((n / total) * 100)}</span>
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
