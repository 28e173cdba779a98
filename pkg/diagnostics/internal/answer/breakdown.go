package answer

import (
	"cmp"
	"slices"
)

// phase is how far the work of all tiers was at a moment: that of the furthest tier counts.
type phase int

const (
	phaseNone       phase = iota // nothing of the batch was submitted or under way
	phaseQueue                   // a job waited for Ray
	phaseColdStart               // a job had started and was known to have processed nothing
	phaseProcessing              // a job or tier had begun and not ended
	phaseCount
)

// breakdown divides a stretch of time between phases, in nanoseconds. Its parts add up to the total.
type breakdown struct {
	total                               int64
	queue, cold, processing, over, idle int64
}

type edge struct {
	at    int64
	phase phase
	by    int // +1: it begins, -1: it ends
}

// breakdown of the batch's life so far: from its start, or the first submission if that was earlier, to its
// end or asOf. What no phase covers is hand-over once a tier has ended, and idle before.
func (r *renderer) breakdown() breakdown {
	from, to := r.d.Start, r.end()
	if to == 0 {
		to = r.asOf
	}
	edges, firstEnd := r.edges()
	if r.d.Attempt == 1 { // what was submitted before a later attempt began belongs to the earlier attempt
		for _, e := range edges {
			if e.by > 0 && (from == 0 || e.at < from) {
				from = e.at
			}
		}
	}
	if from == 0 || to <= from {
		return breakdown{}
	}
	b := breakdown{total: to - from}
	var open [phaseCount]int
	at := from
	pass := func(until int64) {
		until = min(max(until, at), to)
		b.add(open, at, until, firstEnd)
		at = until
	}
	for _, e := range edges {
		pass(e.at)
		open[e.phase] += e.by
	}
	pass(to)
	return b
}

func (b *breakdown) add(open [phaseCount]int, from, to, firstEnd int64) {
	span := to - from
	switch {
	case open[phaseProcessing] > 0:
		b.processing += span
	case open[phaseColdStart] > 0:
		b.cold += span
	case open[phaseQueue] > 0:
		b.queue += span
	case firstEnd == 0 || to <= firstEnd:
		b.idle += span
	default:
		b.over += span
	}
}

// edges are the begins and ends of phases in order of time, of all attempts, and the earliest end of a tier.
func (r *renderer) edges() (out []edge, firstEnd int64) {
	put := func(p phase, from, to int64) {
		if to == 0 {
			to = r.asOf
		}
		if from != 0 && to > from {
			out = append(out, edge{from, p, 1}, edge{to, p, -1})
		}
	}
	cold := map[int32]int64{} // the moment until which a tier is known to have processed nothing
	for _, t := range r.d.Tiers {
		end := t.End
		if end == 0 {
			end = r.d.End
		}
		if t.End != 0 && !r.d.Former(t) && (firstEnd == 0 || t.End < firstEnd) {
			firstEnd = t.End
		}
		if from, least := coldStart(t); least != 0 {
			cold[t.Num] = from + least
			put(phaseColdStart, from, from+least)
		}
		if t.Start != 0 {
			put(phaseProcessing, max(t.Start, cold[t.Num]), end)
		}
		for a, span := range t.Earlier() {
			put(phaseProcessing, span[0], cmp.Or(span[1], a.Last))
		}
	}
	for _, j := range r.d.Jobs {
		put(phaseQueue, j.Submitted, cmp.Or(j.Start, j.End, r.d.End))
		if j.Start != 0 {
			put(phaseProcessing, max(j.Start, cold[j.Tier]), cmp.Or(j.End, r.d.End))
		}
	}
	slices.SortFunc(out, func(a, b edge) int { return cmp.Compare(a.at, b.at) })
	return out, firstEnd
}
