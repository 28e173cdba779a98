// Why something waits, failed or is in doubt: the code, how sure it is, since when, who acts, whether waiting helps.
import type { ComponentChildren } from 'preact';
import type { Cause, Snapshot } from '../api';
import { actorWords, byCode, certaintyWords, doubtsAbout, type Figure, listed, waitingWords } from '../lib/cause';
import { count } from '../lib/format';
import { Facts, Time } from '../parts/bits';
import { Icon } from '../parts/icons';
import { told } from '../parts/told';

/** All that is known of a cause; `says` where its sentence stands nowhere else. */
export function CauseFacts({
  c,
  says = false,
  evidence = null,
}: {
  c: Cause;
  says?: boolean;
  evidence?: ComponentChildren;
}) {
  const list = (of: unknown): ComponentChildren => {
    const all = listed(of);
    return all.length === 0 ? null : all.map(text => <span key={text}>{told(text)}</span>);
  };
  return (
    <div class="cause-of" data-code={c.code}>
      {says ? <p>{told(c.sentence)}</p> : null}
      <Facts
        rows={[
          ['Cause', <code key="code">{c.code}</code>],
          ['How sure', certaintyWords(c)],
          ['Since', c.since ? <Time at={c.since} /> : null],
          ['Who acts', actorWords(c)],
          ['Waiting', waitingWords(c)],
          ['Held by', list(c.holders)],
          ['Would help', list(c.fixes)],
          ['Asked', list(c.asked)],
          ['Source says', c.detail && !c.sentence.includes(c.detail) ? told(c.detail) : null],
          ['Evidence', evidence],
        ]}
      />
    </div>
  );
}

/** The cause of a part in one line. */
export function CauseLine({ c }: { c: Cause }) {
  return (
    <p class="cause-line" data-code={c.code}>
      <code>{c.code}</code> <span>{told(c.sentence)}</span>{' '}
      <span class="soft">
        ({c.certainty}
        {c.since ? (
          <>
            , since <Time at={c.since} />
          </>
        ) : null}
        )
      </span>
    </p>
  );
}

/** What makes other sentences doubtful. */
export function Doubts({ s }: { s: Snapshot }) {
  if (s.doubts.length === 0) return null;
  return (
    <ul class="doubts" aria-label="Doubts">
      {byCode(s.doubts).map(([d, more]) => (
        <li key={d.code} data-code={d.code}>
          <Icon mark="degraded" size={14} />
          <p>
            <strong>In doubt:</strong> {told(d.sentence)}.{more > 0 ? ` ${count(more)} more like this one.` : ''}{' '}
            <span class="soft">
              {actorWords(d) ? `${actorWords(d)} can correct this` : ''} (<code>{d.code}</code>)
            </span>
          </p>
        </li>
      ))}
    </ul>
  );
}

/** Stands beside a figure that a doubt bears on. */
export function Doubtful({ s, figure }: { s: Snapshot; figure: Figure }) {
  const about = doubtsAbout(s, figure);
  if (about.length === 0) return null;
  return (
    <span
      class="doubtful"
      title={byCode(about)
        .map(([d]) => told(d.sentence))
        .join('; ')}
      data-doubtful={figure}
    >
      in doubt
    </span>
  );
}
