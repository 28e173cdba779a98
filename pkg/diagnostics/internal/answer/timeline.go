package answer

import (
	"slices"
	"strconv"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
)

const maxTimeline = 200

// timeline is derived from the state: begin and end of the batch, its tiers' attempts and its jobs, and
// the announcements. The latest maxTimeline entries are shown; of a large batch only those are made.
func (r *renderer) timeline() []TimelineEntry {
	var times []int64
	r.moments(func(at int64, _ func() TimelineEntry) { times = append(times, at) })
	slices.Sort(times)
	from := int64(0)
	if n := len(times); n > maxTimeline {
		from = times[n-maxTimeline]
	}
	out := make([]TimelineEntry, 0, min(len(times), maxTimeline))
	r.moments(func(at int64, entry func() TimelineEntry) {
		if at >= from {
			e := entry()
			e.At = *judge.Instant(at)
			out = append(out, e)
		}
	})
	slices.SortStableFunc(out, func(a, b TimelineEntry) int { return a.At.Compare(b.At) })
	return out[max(0, len(out)-maxTimeline):]
}

// moments gives each known moment, with what makes its entry.
func (r *renderer) moments(yield func(at int64, entry func() TimelineEntry)) {
	put := func(at int64, entry func() TimelineEntry) {
		if at != 0 {
			yield(at, entry)
		}
	}
	d := r.d
	put(d.Start, func() TimelineEntry {
		return TimelineEntry{Kind: "batch", Subject: r.d.View.BatchID(), Change: "started"}
	})
	put(d.End, func() TimelineEntry {
		return TimelineEntry{Kind: "batch", Subject: r.d.View.BatchID(), Change: d.StatusText()}
	})
	for _, t := range d.Tiers {
		for a, span := range t.Earlier() {
			name := func() string { return d.TierName(t.Num) + " attempt " + strconv.Itoa(int(a.Num)) }
			put(span[0], func() TimelineEntry { return TimelineEntry{Kind: "tier", Subject: name(), Change: "started"} })
			if end := a.Words.Shown().Word; end.Rank() == event.RankTerminal {
				put(span[1], func() TimelineEntry {
					return TimelineEntry{Kind: "tier", Subject: name(), Change: end.String(), Reason: optText(a.ErrType)}
				})
			}
		}
		put(t.Start, func() TimelineEntry {
			return TimelineEntry{Kind: "tier", Subject: d.TierName(t.Num), Change: "started"}
		})
		put(t.End, func() TimelineEntry {
			return TimelineEntry{Kind: "tier", Subject: d.TierName(t.Num), Change: t.Status.String()}
		})
	}
	for _, j := range d.Jobs {
		put(j.Submitted, func() TimelineEntry { return TimelineEntry{Kind: "job", Subject: j.State.ID, Change: "submitted"} })
		put(j.Start, func() TimelineEntry { return TimelineEntry{Kind: "job", Subject: j.State.ID, Change: "RUNNING"} })
		put(j.End, func() TimelineEntry {
			return TimelineEntry{Kind: "job", Subject: j.State.ID, Change: j.Status.String(), Reason: optText(j.State.ErrType)}
		})
	}
	for _, a := range r.d.State.Announcements {
		put(a.Said.V.AsOf, func() TimelineEntry {
			e := TimelineEntry{Kind: "health", Subject: r.d.View.BatchID(), Change: a.Said.V.From.String() + " → " + a.Said.V.To.String()}
			if a.Said.V.From == a.Said.V.To { // only the cause changed
				e.Change = a.Said.V.To.String() + ": " + orWord(a.Said.V.CauseFrom.V, "no cause") + " → " + orWord(a.Said.V.CauseTo.V, "no cause")
			}
			if text := a.Said.V.Reason; text != "" {
				e.Reason = &text
			}
			return e
		})
	}
}
