package answer

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

const maxTimeline = 200

// timeline is derived from the state: begin and end of the batch, its tiers' attempts and its jobs, and
// the announcements. The latest maxTimeline entries are shown; of a large batch only those are made.
func (r *renderer) timeline() []TimelineEntry {
	all := r.moments()
	slices.SortStableFunc(all, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	all = all[max(0, len(all)-maxTimeline):]
	out := make([]TimelineEntry, len(all))
	for i := range all {
		out[i] = r.entry(&all[i])
		out[i].At = judge.At(all[i].at)
	}
	return out
}

// moment is an entry that isn't made yet: the begin or the end of the batch, a tier, an earlier attempt of one, or a job, its
// submission, or an announcement.
type moment struct {
	at      int64
	change  momentChange
	tier    *judge.Tier
	attempt *view.TierAttempt
	job     *judge.Job
	said    *view.Announced
}

type momentChange uint8

const (
	changeSubmitted momentChange = iota
	changeStarted
	changeEnded
)

// moments are all known ones.
func (r *renderer) moments() []moment {
	d := r.d
	out := make([]moment, 0, 2+2*len(d.Tiers)+3*len(d.Jobs)+len(d.State.Announcements))
	put := func(m moment) {
		if m.at != 0 {
			out = append(out, m)
		}
	}
	put(moment{at: d.Start, change: changeStarted})
	put(moment{at: d.End, change: changeEnded})
	for _, t := range d.Tiers {
		for a, span := range t.Earlier() {
			put(moment{at: span[0], change: changeStarted, tier: t, attempt: a})
			if a.Words.Shown().Word.Rank() == event.RankTerminal {
				put(moment{at: span[1], change: changeEnded, tier: t, attempt: a})
			}
		}
		put(moment{at: t.Start, change: changeStarted, tier: t})
		put(moment{at: t.End, change: changeEnded, tier: t})
	}
	for _, j := range d.Jobs {
		put(moment{at: j.Submitted, change: changeSubmitted, job: j})
		put(moment{at: j.Start, change: changeStarted, job: j})
		put(moment{at: j.End, change: changeEnded, job: j})
	}
	for _, a := range d.State.Announcements {
		put(moment{at: a.Said.V.AsOf, said: &a.Said.V})
	}
	return out
}

func (r *renderer) entry(m *moment) TimelineEntry {
	switch {
	case m.said != nil:
		return r.announced(m.said)
	case m.job != nil:
		e := TimelineEntry{Kind: "job", Subject: m.job.State.ID}
		switch m.change {
		case changeSubmitted:
			e.Change = "submitted"
		case changeStarted:
			e.Change = "RUNNING"
		case changeEnded:
			e.Change, e.Reason = m.job.Status.String(), optText(m.job.State.ErrType)
		}
		return e
	case m.attempt != nil:
		e := TimelineEntry{Kind: "tier", Subject: r.d.TierName(m.tier.Num) + " attempt " + strconv.Itoa(int(m.attempt.Num)), Change: "started"}
		if m.change == changeEnded {
			e.Change, e.Reason = m.attempt.Words.Shown().Word.String(), optText(m.attempt.ErrType)
		}
		return e
	case m.tier != nil:
		e := TimelineEntry{Kind: "tier", Subject: r.d.TierName(m.tier.Num), Change: "started"}
		if m.change == changeEnded {
			e.Change = m.tier.Status.String()
		}
		return e
	}
	e := TimelineEntry{Kind: "batch", Subject: r.d.View.BatchID(), Change: "started"}
	if m.change == changeEnded {
		e.Change = r.d.StatusText()
	}
	return e
}

func (r *renderer) announced(a *view.Announced) TimelineEntry {
	e := TimelineEntry{Kind: "health", Subject: r.d.View.BatchID(), Change: a.From.String() + " → " + a.To.String()}
	if a.From == a.To { // only the cause changed
		e.Change = a.To.String() + ": " + orWord(a.CauseFrom.V, "no cause") + " → " + orWord(a.CauseTo.V, "no cause")
	}
	e.Reason = orNull(a.Reason)
	return e
}
