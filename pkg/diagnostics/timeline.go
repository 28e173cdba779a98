package diagnostics

import (
	"slices"
	"strconv"
)

const maxTimeline = 200

// timeline is derived from the state: begin and end of the batch, its tiers' attempts and its jobs, and
// the announcements. The latest maxTimeline entries are shown.
func (r *renderer) timeline() []TimelineEntry {
	out := []TimelineEntry{}
	put := func(at int64, kind, subject, change string, reason *string) {
		if at != 0 {
			out = append(out, TimelineEntry{At: *instant(at), Kind: kind, Subject: subject, Change: change, Reason: reason})
		}
	}
	d := r.d
	put(d.start, "batch", r.v.Batch, "started", nil)
	put(d.end, "batch", r.v.Batch, d.statusText(), nil)
	for _, t := range d.tiers {
		for a, span := range t.earlier() {
			name := tierName(t.num) + " attempt " + strconv.Itoa(int(a.num))
			put(span[0], "tier", name, "started", nil)
			if end := a.words.shown().word; end.rank() == rankTerminal {
				put(span[1], "tier", name, end.String(), optText(a.errType))
			}
		}
		put(t.start, "tier", tierName(t.num), "started", nil)
		put(t.end, "tier", tierName(t.num), t.status.String(), nil)
	}
	for _, j := range d.jobs {
		put(j.submitted, "job", j.j.id, "submitted", nil)
		put(j.start, "job", j.j.id, "RUNNING", nil)
		put(j.end, "job", j.j.id, j.status.String(), optText(j.j.errType))
	}
	for _, a := range r.v.announced {
		var reason *string
		if a.said.v.reason != "" {
			text := a.said.v.reason
			reason = &text
		}
		put(a.said.v.asOf, "health", r.v.Batch, a.said.v.from.String()+" → "+a.said.v.to.String(), reason)
	}
	slices.SortStableFunc(out, func(a, b TimelineEntry) int { return a.At.Compare(b.At) })
	return out[max(0, len(out)-maxTimeline):]
}
