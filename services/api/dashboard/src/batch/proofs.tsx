// What the processes of a job were seen to do: the last lines of a log, a stack. In place, at the job that they are of.
import type { Proof } from '@headway/client';
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { JobDiagnostic } from '../api';
import type { BatchPlace } from '../lib/route';
import { reading } from '../lib/texts';
import { Time } from '../parts/bits';
import { client } from '../state/client';

const looked: Record<string, string> = { log: 'Last lines', stack: 'Stack' };

/** The answer of a batch says that there are looks; their text, which is long, is read when somebody opens them. */
export function Proofs({ j, at }: { j: JobDiagnostic; at: BatchPlace }) {
  const open = useSignal(false);
  const all = useSignal<Proof[] | null>(null);
  const failed = useSignal<string | null>(null);
  const newest = j.proofs.map(p => p.taken_at).join();
  useEffect(() => {
    if (!open.value) return;
    const stop = new AbortController();
    client(at.namespace)
      .explain(at.id, { signal: stop.signal })
      .then(
        e => {
          all.value = (e.proofs ?? []).filter(p => p.ray_job_id === j.ray_job_id);
          failed.value = null;
        },
        (e: Error) => {
          if (!stop.signal.aborted) failed.value = e.message;
        },
      );
    return () => stop.abort();
  }, [open.value, at.namespace, at.id, newest]);
  const frame = j.proofs.find(p => p.frame)?.frame;
  return (
    <details class="proofs" data-proofs onToggle={e => (open.value = e.currentTarget.open)}>
      <summary>
        {frame ? (
          <>
            It was seen in <code>{frame}</code>
          </>
        ) : (
          'What its processes were seen to do'
        )}
        {', '}
        <Time at={j.proofs[j.proofs.length - 1]?.taken_at} />
      </summary>
      {failed.value ? <p class="soft">The lines can't be read: {failed.value}</p> : null}
      {all.value === null && !failed.value ? <p class="soft">{reading}</p> : null}
      {all.value?.map(p => (
        <Seen key={`${p.kind} ${p.process} ${p.name}`} p={p} open />
      ))}
      {j.ray_dashboard_url ? (
        <p>
          <a href={j.ray_dashboard_url} target="_blank" rel="noreferrer noopener">
            All of its logs in Ray ↗
          </a>
        </p>
      ) : null}
    </details>
  );
}

/** A look at a process while its job hung. */
export function Seen({ p, open = false }: { p: Proof; open?: boolean }) {
  return (
    <details open={open || p.kind === 'stack'}>
      <summary>
        {looked[p.kind] ?? p.kind} of the {p.process}
        {p.name ? ` (${p.name})` : ''} of <code>{p.ray_job_id}</code>, <Time at={p.taken_at} />
      </summary>
      {p.frame ? (
        <p>
          In <code>{p.frame}</code>
          {p.frame_since && p.looks && p.looks > 1 ? (
            <>
              {' '}
              in each of {p.looks} looks since <Time at={p.frame_since} />
            </>
          ) : null}
        </p>
      ) : null}
      {p.unavailable ? <p class="soft">{p.unavailable}</p> : null}
      {p.text ? (
        <pre class="lines" tabIndex={0} role="region" aria-label={`${looked[p.kind] ?? p.kind} of the ${p.process}`}>
          {p.text}
        </pre>
      ) : null}
    </details>
  );
}
