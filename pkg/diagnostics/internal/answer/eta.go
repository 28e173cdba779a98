package answer

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
)

// The estimate of the end. A tier under way is extrapolated from its progress series. The window of the past is as long as
// the time ahead: a distant end follows from the long-term rate, a near one from the latest progress. For tiers that haven't
// begun the pace of this batch's other tiers is assumed. All times are log-normal and are added by matching
// moments (Fenton 1960); a large spread means little evidence.
const (
	etaPoints   = 3               // the fewest points of a series from which a rate is computed
	etaSpan     = 5 * time.Second // the shortest time that they have to cover
	etaBlocks   = 8               // parts of the window of the past; the spread of their rates is the noise
	z90         = 1.2816          // standard normal quantile of 0.9
	highSpread  = 1.35            // of p90 to p50, both counted from now: up to this ratio confidence is high
	someSpread  = 2.0             // and up to this ratio it is medium
	maxHow      = 3               // tiers of which is said how long they will take; thousands can run at the same time
	maxEstimate = 90 * 24 * time.Hour
)

// Spreads, as standard deviations of the logarithm. Calibrated with the simulator: see `make bench`.
const (
	sigmaRate   = 0.12 // of a steady rate, for a time ahead as long as the window of the past
	sigmaUnseen = 0.25 // added for a time ahead that is longer than the window
	sigmaOther  = 0.70 // of one tier's pace as a forecast of another's, if only one is known
	sigmaLeast  = 0.45 // the same, if several are known and agree
)

// remaining is a log-normal time until the end: its median in seconds, and its spread.
type remaining struct{ median, sigma float64 }

func (m remaining) moments() (mean, variance float64) {
	e := math.Exp(m.sigma * m.sigma)
	return m.median * math.Sqrt(e), m.median * m.median * e * (e - 1)
}

func (m remaining) plus(o remaining) remaining {
	if m.median <= 0 {
		return o
	}
	if o.median <= 0 {
		return m
	}
	m1, v1 := m.moments()
	m2, v2 := o.moments()
	mean, variance := m1+m2, v1+v2
	s2 := math.Log1p(variance / (mean * mean))
	return remaining{mean / math.Sqrt(1+variance/(mean*mean)), math.Sqrt(s2)}
}

// eta is nil while an estimate isn't possible: the batch isn't being processed, is stuck, has a failed tier without
// another attempt, or has made no progress yet.
func (r *renderer) eta(h event.Health) *ETA {
	d := r.d
	if d.Status != event.WordProcessing || h == event.HealthStuck || d.FailedTiers > 0 || len(d.Open) == 0 || r.doubtful() {
		return nil
	}
	at := &renderer{d: d, p: r.p, asOf: r.marked(), brief: r.brief} // computed at the last progress, so it stays the same until the next event
	e, now := at.estimate(), time.Unix(0, r.asOf)
	switch {
	case e == nil || e.P90.Before(now):
		return nil // there is no estimate for what should have ended already
	case e.P50.Before(now):
		e.P50 = e.P90 // an estimate is never in the past: only the later one is left
	}
	return e
}

// marked is the time of the latest progress of any tier, or of the latest event if there was no progress.
func (r *renderer) marked() int64 {
	at := int64(0)
	for _, t := range r.d.Tiers {
		at = max(at, t.Moved.Time)
	}
	if at == 0 {
		at = r.d.State.Last
	}
	return at
}

// doubtful reports that silence, a count that fell or a clock that is off forbids an estimate.
func (r *renderer) doubtful() bool {
	if r.cases == nil {
		return false
	}
	for i := range r.cases.Tiers {
		if j := r.cases.Tiers[i]; r.asOf > j.Quiet || r.asOf > j.Paused {
			return true
		}
	}
	return slices.ContainsFunc(r.cases.Doubts(), func(f judge.Finding) bool {
		return f.Row.Code == cause.CountWentBack || f.Row.Code == cause.Clock
	})
}

func (r *renderer) estimate() *ETA {
	d := r.d
	seen := r.shown()
	var now remaining
	begun, how := false, []string{}
	for _, t := range d.Open {
		if t.Lacks() || !t.TotalKnown && !t.Moved.IsZero() {
			return nil
		}
		begun = begun || !t.Moved.IsZero()
	}
	for _, t := range r.longest(seen) {
		part, text, ok := r.underWay(t, seen)
		if !ok {
			return nil
		}
		if len(how) < maxHow && !r.brief {
			how = append(how, text())
		}
		if part.median >= now.median { // of tiers that run at the same time the longest counts
			now = part
		}
	}
	ahead, n, ok := r.ahead(seen)
	if !ok {
		return nil
	}
	if more := len(d.Open) - maxHow; more > 0 && !r.brief {
		how = append(how, count(more, "more tier")+" in one of these ways")
	}
	if n > 0 && !r.brief {
		how = append(how, fmt.Sprintf("%s not begun from the pace of %d", count(n, "tier"), seen.tiers))
	}
	all := now.plus(ahead)
	p50, p90 := all.median, all.median*math.Exp(z90*all.sigma)
	if math.IsNaN(p90) || p90 > maxEstimate.Seconds() {
		return nil
	}
	e := &ETA{P50: r.after(p50), P90: r.after(p90), Confidence: "low", Method: strings.Join(how, "; ")}
	wide := p90 / max(p50, 1)
	switch {
	case !begun || n > 0 && seen.tiers < 2:
	case wide <= highSpread:
		e.Confidence = "high"
	case wide <= someSpread:
		e.Confidence = "medium"
	}
	return e
}

func (r *renderer) after(s float64) time.Time {
	return time.Unix(0, r.asOf+int64(s*1e9)).UTC().Truncate(time.Millisecond)
}

// pace is that of one tier of this batch: seconds per document, and seconds from when it could have begun to its first document.
type pace struct {
	perDoc, docs float64
	lead         float64
	leadKnown    bool
}

// Of thousands of tiers only some are looked at closely: of those that have moved so many, evenly spaced, for the pace, and of those under
// way so many that seem to take longest.
const (
	maxPaces   = 256
	maxLongest = 64
)

// longest are the open tiers that seem to take longest, in their order; all of them unless there are many.
func (r *renderer) longest(seen shown) []*judge.Tier {
	open := r.d.Open
	if len(open) <= maxLongest {
		return open
	}
	left := make([]float64, len(open))
	for i, t := range open {
		left[i] = r.roughly(t, seen)
	}
	most := append(make([]float64, 0, maxLongest), left[:maxLongest]...) // ascending
	slices.Sort(most)
	for _, n := range left[maxLongest:] {
		if n <= most[0] {
			continue
		}
		at, _ := slices.BinarySearch(most, n)
		copy(most, most[1:at])
		most[at-1] = n
	}
	equal := 0 // of those as long as the shortest of them, only as many as there is room for
	for equal < len(most) && most[equal] == most[0] {
		equal++
	}
	out := make([]*judge.Tier, 0, maxLongest)
	for i, t := range open {
		switch {
		case left[i] > most[0]:
			out = append(out, t)
		case left[i] == most[0] && equal > 0:
			out = append(out, t)
			equal--
		}
	}
	return out
}

// roughly is how long a tier will take at its mean rate, in seconds.
func (r *renderer) roughly(t *judge.Tier, seen shown) float64 {
	left := float64(max(0, t.Total-t.Handled()))
	if t.Processed > 0 && t.Start != 0 && t.Moved.Time > t.Start {
		return left * judge.Seconds(t.Moved.Time-t.Start) / float64(t.Processed)
	}
	return seen.lead + left*seen.perDoc
}

// paces are those of the tiers that have ended, and of those that have run for long enough.
func (r *renderer) paces() []pace {
	var moved []*judge.Tier
	for _, t := range r.d.Tiers {
		if !t.Moved.IsZero() {
			moved = append(moved, t)
		}
	}
	step := (len(moved) + maxPaces - 1) / maxPaces
	var out []pace
	for i := 0; i < len(moved); i += step {
		t := moved[i]
		first, last, moved := t.Stretch()
		if !moved {
			continue
		}
		p := pace{docs: float64(max(t.Processed, t.Total))}
		due := r.due(t)
		p.lead, p.leadKnown = judge.Seconds(max(0, first.At-due)), due != 0
		end := last.At
		if t.End != 0 {
			end = max(end, t.End)
		}
		if n := last.N - first.N; n > 0 && end > first.At && (t.End != 0 || end-first.At >= int64(etaSpan)) {
			p.perDoc = judge.Seconds(end-first.At) / float64(n)
		} else if t.End != 0 && t.End > t.Start && t.Start != 0 && t.Processed > 0 {
			p.perDoc, p.leadKnown = judge.Seconds(t.End-t.Start)/float64(t.Processed), false
		} else {
			continue
		}
		out = append(out, p)
	}
	return out
}

// due is when a tier could have begun: the end of the one before it, or the batch's start; 0 if unknown.
func (r *renderer) due(t *judge.Tier) int64 {
	if t.Num == 0 {
		return r.d.Start
	}
	if before := r.d.TierAt(t.Num - 1); before != nil {
		return before.End
	}
	return 0
}

// underWay estimates an open tier.
func (r *renderer) underWay(t *judge.Tier, seen shown) (m remaining, how func() string, ok bool) {
	told := func(text string) func() string {
		return func() string { return r.tierName(t.Num) + text }
	}
	if !t.TotalKnown {
		if t.Moved.IsZero() { // it hasn't begun; the number of documents is assumed from the other tiers
			m, ok = r.wholeTier(t, seen)
			return m, told(" from the pace of the tiers before it"), ok
		}
		return m, nil, false
	}
	if t.Handled() >= t.Total { // assume that its end is as far ahead as its last document is in the past
		waited := judge.Seconds(r.asOf - t.Moved.Time)
		return remaining{max(1, waited), sigmaOther}, told(" has processed all of its documents"), true
	}
	if m, how, ok = r.perJob(t); ok {
		return m, how, true
	}
	c := t.Curve()
	if m, ok = extrapolate(c, t.Total, r.asOf); ok {
		return m, func() string {
			return fmt.Sprintf("%s from its progress series of %d points", r.tierName(t.Num), len(c))
		}, true
	}
	m, ok = r.wholeTier(t, seen)
	return m, told(" from the pace of the tiers before it"), ok
}

// perJob estimates a tier whose jobs count for themselves, each its own total: it ends with the last of them.
func (r *renderer) perJob(t *judge.Tier) (m remaining, how func() string, ok bool) {
	if t.Own != nil && t.Own.Processed.N > 0 {
		return m, nil, false
	}
	jobs := 0
	for _, j := range t.Jobs {
		if j.Superseded || j.Status.Rank() == event.RankTerminal {
			continue
		}
		one, carries := extrapolate(judge.CurveOf(j.State.Series, j.State.Processed), int64(j.State.Total.V), r.asOf)
		if !carries {
			return m, nil, false
		}
		if jobs++; one.median >= m.median {
			m, how = one, func() string {
				return fmt.Sprintf("%s from the progress series of %s", r.tierName(t.Num), j.State.ID)
			}
		}
	}
	return m, how, jobs > 0
}

// wholeTier estimates a tier from the pace of others, less the time that it has waited already.
func (r *renderer) wholeTier(t *judge.Tier, seen shown) (remaining, bool) {
	m, ok := forecast(t, seen)
	if due := r.due(t); ok && due != 0 {
		waited := judge.Seconds(max(0, r.asOf-due))
		m.median = max(m.median-waited, m.median/4)
	}
	return m, ok
}

// ahead is the time of the tiers that are due after the open ones.
func (r *renderer) ahead(seen shown) (m remaining, n int, ok bool) {
	open := r.d.Open
	for k := range r.d.TotalTiers {
		t := r.d.TierAt(int32(k))
		if t != nil && t.Status.Rank() == event.RankTerminal {
			continue
		}
		for len(open) > 0 && int(open[0].Num) < k {
			open = open[1:]
		}
		if len(open) > 0 && int(open[0].Num) == k {
			continue
		}
		one, ok := forecast(t, seen)
		if !ok {
			return m, n, false
		}
		n++
		m.median += one.median // all use one pace, so their errors add up
		m.sigma = one.sigma
	}
	return m, n, true
}

// shown has the medians of the paces of a batch's tiers, and how far they agree.
type shown struct {
	tiers              int
	perDoc, docs, lead float64
	sigma              float64
}

func (r *renderer) shown() shown {
	var perDoc, docs, leads []float64
	for _, p := range r.paces() {
		perDoc, docs = append(perDoc, p.perDoc), append(docs, p.docs)
		if p.leadKnown {
			leads = append(leads, p.lead)
		}
	}
	s := shown{tiers: len(docs), perDoc: median(perDoc), docs: median(docs), lead: median(leads), sigma: sigmaOther}
	if s.tiers > 1 {
		s.sigma = max(sigmaLeast, spread(perDoc))
	}
	return s
}

// forecast assumes the pace of the other tiers for one that hasn't begun; nil is one of which nothing was heard.
func forecast(t *judge.Tier, seen shown) (remaining, bool) {
	n := seen.docs
	switch {
	case t == nil:
	case t.TotalKnown:
		n = float64(t.Total)
	case t.State != nil && t.State.PlanTotal.Set:
		n = float64(t.State.PlanTotal.V)
	}
	return remaining{seen.lead + n*seen.perDoc, seen.sigma}, seen.tiers > 0
}

// extrapolate a progress curve to its total; ok is false if it is too short for a rate.
func extrapolate(c []judge.CurvePoint, total, asOf int64) (m remaining, ok bool) {
	if len(c) < etaPoints || c[len(c)-1].At-c[0].At < int64(etaSpan) || c[len(c)-1].N == c[0].N {
		return m, false
	}
	first, last := c[0], c[len(c)-1]
	// Nothing is known between two reports. A silence counts as standing still once it is longer than usual.
	now := last.At + max(0, asOf-last.At-2*usualGap(c))
	if last.N >= total {
		return m, false
	}
	span := judge.Seconds(now - first.At)
	left := float64(total - last.N)
	long := float64(last.N-first.N) / span
	back := min(span, max(left/long, span/etaBlocks, judge.Seconds(3*usualGap(c))))
	recent := max((float64(last.N)-countAt(c, now-int64(back*1e9)))/back, long/8) // a short pause doesn't make the rate 0
	rate := math.Sqrt(recent * long)                                              // the geometric mean, so that neither a burst nor the distant past dominates
	whole := left / rate
	noise := blockNoise(c, now, back)
	far := max(0, math.Log2(max(1, whole/span)))
	// What should have ended already is assumed to need a part of its time again.
	m.median = max(1, whole-judge.Seconds(asOf-now), whole/4)
	m.sigma = math.Sqrt(sigmaRate*sigmaRate + noise*noise + sigmaUnseen*sigmaUnseen*far)
	return m, total > 0
}

// blockNoise is the standard error of the mean rate in the window of the past, computed from the rates of its parts.
func blockNoise(c []judge.CurvePoint, now int64, back float64) float64 {
	var room [etaBlocks]float64
	rates := room[:0]
	from := now - int64(back*1e9)
	step := int64(back * 1e9 / etaBlocks)
	sum := 0.0
	for k := range int64(etaBlocks) {
		n := countAt(c, from+(k+1)*step) - countAt(c, from+k*step)
		rates = append(rates, n)
		sum += n
	}
	mean := sum / etaBlocks
	if mean <= 0 {
		return 1
	}
	v := 0.0
	for _, x := range rates {
		v += (x - mean) * (x - mean)
	}
	return math.Sqrt(v/(etaBlocks-1)/etaBlocks) / mean
}

// countAt is the count at a moment, by linear interpolation between two points.
func countAt(c []judge.CurvePoint, at int64) float64 {
	i, _ := slices.BinarySearchFunc(c, at, func(p judge.CurvePoint, t int64) int {
		if p.At < t {
			return -1
		}
		return 1
	})
	switch {
	case i == 0:
		return float64(c[0].N)
	case i == len(c):
		return float64(c[len(c)-1].N)
	}
	a, b := c[i-1], c[i]
	return float64(a.N) + float64(b.N-a.N)*float64(at-a.At)/float64(b.At-a.At)
}

// usualGap is the median time between two of the newest points.
func usualGap(c []judge.CurvePoint) int64 {
	var room [16]int64
	gaps := room[:0]
	for i := max(1, len(c)-len(room)); i < len(c); i++ {
		gaps = append(gaps, c[i].At-c[i-1].At)
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

// median of any values; 0 of none.
func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	s := slices.Clone(of)
	slices.Sort(s)
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// spread is the standard deviation of the logarithms.
func spread(of []float64) float64 {
	mean, n := 0.0, float64(len(of))
	for _, x := range of {
		mean += math.Log(x) / n
	}
	v := 0.0
	for _, x := range of {
		v += (math.Log(x) - mean) * (math.Log(x) - mean)
	}
	return math.Sqrt(v / (n - 1))
}
