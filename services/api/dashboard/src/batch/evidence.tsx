// What the verdict rests on, in a drawer: the facts at once, the derivation as the server explains it.
import type { Explanation } from '@headway/client';
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Snapshot } from '../api';
import { span } from '../lib/format';
import { healthWords } from '../lib/health';
import { signalWords } from '../lib/reason';
import type { BatchPlace } from '../lib/route';
import { tierOf } from '../lib/tier';
import { Facts, Id, Time } from '../parts/bits';
import { Dialog } from '../parts/help';
import { MarkWord } from '../parts/icons';
import { told } from '../parts/told';
import { client } from '../state/client';
import { go } from '../state/router';
import { CauseFacts } from './cause';
import { Seen } from './proofs';
import { Waits } from './tier';

export function Evidence({ s, at }: { s: Snapshot; at: BatchPlace }) {
  return (
    <Dialog
      open={at.evidence}
      close={() => at.evidence && go({ ...at, evidence: false }, true)}
      label="Evidence"
      kind="drawer"
    >
      {at.evidence ? <Inside s={s} at={at} /> : null}
    </Dialog>
  );
}

function Inside({ s, at }: { s: Snapshot; at: BatchPlace }) {
  const e = s.health_evidence;
  return (
    <>
      <Facts
        rows={[
          ['Signal', signalWords(e.signal)],
          ['Since', e.since ? <Time at={e.since} /> : null],
          ['Limit', e.threshold_seconds === null ? null : span(e.threshold_seconds)],
          ['Tier', e.tier_num === null ? null : tierOf(e.tier_num, s.total_tiers)],
          ['Job', e.ray_job_id ? <Id text={e.ray_job_id} what="the submission id" /> : null],
          ['Last heard', e.last_heard ? <Time at={e.last_heard} /> : null],
          ['Events', e.event_ids.length ? e.event_ids.map(id => <Id key={id} text={id} what="the event id" />) : null],
          ['Judged as of', <Time key="as of" at={s.view.as_of} />],
          ['Revision', <Id key="revision" text={s.view.id} what="the revision" />],
        ]}
      />
      {s.cause ? (
        <CauseFacts
          c={s.cause}
          says
          evidence={s.cause.evidence.map(id => <Id key={id} text={id} what="the event id" />)}
        />
      ) : null}
      {e.waiting_on ? <Waits w={e.waiting_on} now={Date.parse(s.view.as_of)} /> : null}
      <Derivation s={s} at={at} />
    </>
  );
}

function Derivation({ s, at }: { s: Snapshot; at: BatchPlace }) {
  const x = useSignal<Explanation | null>(null);
  const failed = useSignal<string | null>(null);
  const said = `${s.health} ${s.blocked_reason ?? ''} ${s.view.id}`;
  useEffect(() => {
    const stop = new AbortController();
    client(at.namespace)
      .explain(at.id, { ...(at.moment ? { at: at.moment } : {}), signal: stop.signal })
      .then(answer => {
        x.value = answer;
        failed.value = null;
      })
      .catch((error: Error) => {
        if (!stop.signal.aborted) failed.value = error.message;
      });
    return () => stop.abort();
  }, [at.namespace, at.id, at.moment, said]);
  const e = x.value;
  if (failed.value) return <p class="notice">The derivation can't be had: {failed.value}</p>;
  if (!e) return <p class="soft">Loading the explanation…</p>;
  return (
    <>
      <h3>How this was decided</h3>
      <ol class="steps">
        {e.steps.map(step => (
          <li key={step.says}>
            {told(step.says)}
            {step.events.length > 0 ? (
              <ul class="soft">
                {step.events.map(ev => (
                  <li key={ev.id + ev.source}>
                    <code>{ev.id}</code> by {ev.source} at <Time at={ev.time} />
                  </li>
                ))}
              </ul>
            ) : null}
          </li>
        ))}
      </ol>
      {e.proofs?.length ? (
        <>
          <h3>What its processes were doing</h3>
          {e.proofs.map(p => (
            <Seen key={`${p.ray_job_id} ${p.kind} ${p.process}`} p={p} />
          ))}
        </>
      ) : null}
      <h3>What would change it</h3>
      {e.next_check ? (
        <p>
          With no new event, at <Time at={e.next_check.at} />: <MarkWord {...healthWords(e.next_check.health)} />,{' '}
          {told(e.next_check.because)}
          {e.next_check.cause ? (
            <>
              {' '}
              (<code>{e.next_check.cause}</code>)
            </>
          ) : null}
        </p>
      ) : (
        <p>Nothing changes until a new event arrives.</p>
      )}
      <h3>Why it is no other health</h3>
      <ul class="plain">
        {e.not_taken.map(n => (
          <li key={n.health}>
            <MarkWord {...healthWords(n.health)} /> {told(n.because)}
          </li>
        ))}
      </ul>
      <p class="soft">Rule: {e.rule}.</p>
    </>
  );
}
