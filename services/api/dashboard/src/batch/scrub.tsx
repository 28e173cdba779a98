// The bar that moves the page to a past moment, and what says that it is there.
import type { Snapshot } from '../api';
import { axis } from '../lib/axis';
import { type BatchPlace, href } from '../lib/route';
import { Icon } from '../parts/icons';
import { when } from '../parts/told';
import type { Past } from '../state/past';
import { go } from '../state/router';

/** A bar over the time of a batch up to now. Its right end is now. `live` is the batch as it is now. */
export function Scrub({ live, at }: { live: Snapshot; at: BatchPlace }) {
  const now = Date.parse(live.view.as_of);
  const a = axis(live, now);
  const to = Math.max(now, a.from + 1000);
  const shown = at.moment ? Date.parse(at.moment) : to;
  const step = Math.max(1000, Math.round((to - a.from) / 500 / 1000) * 1000);
  const text = at.moment ? when(new Date(shown)) : 'now';
  return (
    <label class="scrub">
      <span>
        Show it as it was at <strong>{text}</strong>
      </span>
      <input
        type="range"
        min={0}
        max={Math.ceil((to - a.from) / step)}
        value={Math.min(Math.ceil((to - a.from) / step), Math.max(0, Math.round((shown - a.from) / step)))}
        aria-valuetext={text}
        onInput={e => {
          const t = a.from + Number(e.currentTarget.value) * step;
          go({ ...at, moment: t >= now ? '' : new Date(t).toISOString() }, at.moment !== '');
        }}
      />
    </label>
  );
}

/** Says that the page shows a past moment, and leads back. */
export function PastBanner({ past, at }: { past: Past | null; at: BatchPlace }) {
  const said = past?.of === at.moment ? past : null; // until it comes, what was asked for before is still shown
  const other = said?.snapshot?.at;
  return (
    <div class="notice past" role="status" data-past={said ? (said.error ? 'error' : 'shown') : 'asking'}>
      <Icon mark="pending" />
      <span>
        <strong>
          {!said ? 'Asking how it was' : said.error ? 'Can’t show it as it was' : 'As it was'} at{' '}
          {when(new Date(at.moment))}
        </strong>
        {said?.snapshot ? ', by today’s thresholds. ' : '. '}
        {other?.policy_changed ? (
          <>The thresholds have changed since: at {when(new Date(other.announced_at))} health was judged by others. </>
        ) : null}
        {said?.error ? <>{said.error.message} </> : null}
        <a href={href({ ...at, moment: '' })} data-app>
          Back to now
        </a>
      </span>
    </div>
  );
}
