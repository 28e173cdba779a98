// The tier that matters, opened: progress, jobs, what each waits for.
import type { ReadonlySignal } from '@preact/signals';
import type { JobDiagnostic, Snapshot, TierDiagnostic, WaitingOn } from '../api';
import { count, percent, plural, rate, resources, span } from '../lib/format';
import { isOver, statusMark } from '../lib/health';
import { words } from '../lib/reason';
import { type BatchPlace, at as link } from '../lib/route';
import { tierName, tierOf } from '../lib/tier';
import { Bar, Facts, Id, Time } from '../parts/bits';
import { MarkWord } from '../parts/icons';
import { go } from '../state/router';
import { CauseLine } from './cause';
import { Plot } from './plot';
import { Proofs } from './proofs';

interface Props {
  s: Snapshot;
  tier: TierDiagnostic;
  now: ReadonlySignal<number>;
  at: BatchPlace;
}

const jobsAtFirst = 20;

export function OpenTier({ s, tier: t, now, at }: Props) {
  // The job that the verdict names comes first, those that were replaced last.
  const rank = (j: JobDiagnostic): number => (j.ray_job_id === s.health_evidence.ray_job_id ? 0 : j.superseded ? 2 : 1);
  const jobs = [...t.jobs].sort((a, b) => rank(a) - rank(b));
  const asOf = Date.parse(s.view.as_of);
  const open = t.completed_at === null;
  const lasted =
    t.duration_seconds === null ? null : t.duration_seconds + (open ? Math.max(0, (now.value - asOf) / 1000) : 0);
  const total = t.progress.total_documents;
  return (
    <section class="tier-open" aria-labelledby="tier" data-tier={t.tier_num}>
      <header>
        <h2 id="tier">Tier {tierOf(t.tier_num, s.total_tiers)}</h2>
        <MarkWord mark={statusMark(t.status)} word={words(t.status)} />
        {t.attempt > 1 ? <span>attempt {t.attempt}</span> : null}
        {t.requires_gpu ? <span>needs a GPU</span> : null}
        {t.ray_dashboard_url ? (
          <a href={t.ray_dashboard_url} target="_blank" rel="noreferrer noopener">
            Open in Ray ↗
          </a>
        ) : null}
        {at.tier !== null ? (
          <button type="button" class="linkish" onClick={() => go({ ...at, tier: null }, true)}>
            Back to the tier that matters
          </button>
        ) : null}
      </header>
      <div class="figures">
        <div>
          <div class="whole">
            <Bar
              value={t.progress.percentage}
              label={`${percent(t.progress.percentage)} of ${tierName(t.tier_num, s.total_tiers)}`}
              tone={statusMark(t.status)}
            />
            <span class="n">{percent(t.progress.percentage)}</span>
          </div>
          <p class="soft">
            {count(t.progress.processed_documents)}{' '}
            {total > 0 ? `of ${count(total)} documents` : 'documents, of an unknown total'}
            {t.failed_documents > 0 ? (
              <strong class="text-stuck">, {plural(t.failed_documents, 'document')} failed</strong>
            ) : null}
          </p>
          <Facts
            rows={[
              ['Began', t.started_at ? <Time at={t.started_at} /> : null],
              ['Ended', t.completed_at ? <Time at={t.completed_at} /> : null],
              ['Duration', lasted === null ? null : span(lasted)],
              ['Queued', t.queue_seconds === null ? null : span(t.queue_seconds)],
              ['Pace', t.throughput_docs_per_second === null ? null : rate(t.throughput_docs_per_second)],
              ['Task', t.task_id ? <Id text={t.task_id} what="the task id" /> : null],
            ]}
          />
          <Funnel t={t} />
        </div>
        <Plot tier={t} now={now} />
      </div>
      {t.cause && t.cause.code !== s.cause?.code ? <CauseLine c={t.cause} /> : null}
      {t.error ? (
        <pre
          class="error"
          tabIndex={0}
          role="region"
          aria-label="Error of the tier"
        >{`${t.error_type ? `${t.error_type}: ` : ''}${t.error}`}</pre>
      ) : null}
      {jobs.length > 0 ? (
        <div class="jobs">
          <h3>{plural(jobs.length, 'job')}</h3>
          <ul>
            {jobs.slice(0, jobsAtFirst).map(j => (
              <Job key={j.ray_job_id} j={j} now={now} asOf={asOf} at={at} over={isOver(s.status)} />
            ))}
          </ul>
          {jobs.length > jobsAtFirst ? (
            <p class="soft">
              and {plural(jobs.length - jobsAtFirst, 'more job', 'more jobs')}; <a href={link('docs')}>the API</a> has
              all of them.
            </p>
          ) : null}
        </div>
      ) : (
        <p class="soft">No job of this tier was reported.</p>
      )}
    </section>
  );
}

function Funnel({ t }: { t: TierDiagnostic }) {
  const c = t.counts;
  if (!c) return null;
  const say = (n: number | null): string | null => (n === null ? null : count(n));
  return (
    <Facts
      rows={[
        ['Fetched', say(c.fetched)],
        ['After the filter', say(c.after_filter)],
        ['Inputs missing', say(c.missing_inputs)],
        ['Submitted', say(c.submitted)],
        ['Written', say(c.written)],
      ]}
    />
  );
}

interface JobProps {
  j: JobDiagnostic;
  now: ReadonlySignal<number>;
  asOf: number;
  at: BatchPlace;
  over: boolean;
}

function Job({ j, now, asOf, at, over }: JobProps) {
  // Of a batch that is over nothing goes on counting, unless it is known to run on.
  const on = !over || j.cause?.code === 'PIPELINE:RUNS_ON';
  const running = j.status === 'RUNNING' && on;
  const lasted =
    j.duration_seconds === null ? null : j.duration_seconds + (running ? Math.max(0, (now.value - asOf) / 1000) : 0);
  return (
    <li class={j.superseded ? 'superseded' : ''}>
      <p class="line">
        <MarkWord mark={statusMark(j.status)} word={words(j.status)} />
        <Id text={j.ray_job_id} what="the submission id" />
        {j.extractor ? <span>{j.extractor}</span> : null}
        {j.superseded ? <span class="soft">replaced by a later one</span> : null}
        {j.progress.total_documents > 0 ? <span>{percent(j.progress.percentage)}</span> : null}
        {j.queue_seconds !== null ? <span class="soft">queued {span(j.queue_seconds)}</span> : null}
        {lasted !== null ? <span class="soft">ran {span(lasted)}</span> : null}
        {j.exit_code !== null ? <span class="soft">exit code {j.exit_code}</span> : null}
        {j.resources ? <span class="soft">asks for {resources(j.resources)}</span> : null}
        {j.cluster ? <span class="soft">on {j.cluster}</span> : null}
        {j.ray_dashboard_url ? (
          <a href={j.ray_dashboard_url} target="_blank" rel="noreferrer noopener">
            Ray ↗
          </a>
        ) : null}
      </p>
      {j.cause ? <CauseLine c={j.cause} /> : null}
      {j.waiting_on && on ? <Waits w={j.waiting_on} now={now.value} /> : null}
      {j.proofs.length > 0 ? <Proofs j={j} at={at} /> : null}
      {j.message ? (
        <p
          class={`message ${j.status === 'FAILED' ? 'text-stuck' : 'soft'}`}
        >{`${j.error_type ? `${j.error_type}: ` : ''}${j.message}`}</p>
      ) : null}
    </li>
  );
}

const kinds: Record<string, string> = {
  resources: 'resources',
  runtime_env: 'its runtime environment',
  node_launch: 'a node to start',
  image_pull: 'its image to be pulled',
  quota: 'quota',
};

/** What a job waits for, beside what the cluster offers: the two columns are the diagnosis. */
export function Waits({ w, now }: { w: WaitingOn; now: number }) {
  const asked = resources(w.demand);
  const offered = resources(w.offered);
  return (
    <div class={`waits ${w.infeasible ? 'infeasible' : ''}`}>
      <div>
        <span class="soft">waits for</span>
        <strong>{asked || (kinds[w.kind] ?? w.kind)}</strong>
      </div>
      <div>
        <span class="soft">offered</span>
        <strong>{offered || (w.offered ? 'nothing' : 'unknown')}</strong>
      </div>
      <p>
        for {span((now - Date.parse(w.since)) / 1000)}
        {w.infeasible ? ', and no node type can offer it' : ''}
        {w.nodes_pending ? `, ${plural(w.nodes_pending, 'node')} on the way` : ''}
      </p>
    </div>
  );
}
