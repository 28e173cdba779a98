package diagnostics

import (
	"cmp"
	"slices"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
)

// curvePoint is a count that was said at about a moment, in nanoseconds.
type curvePoint struct{ at, n int64 }

// curve is a tier's progress over time: its own where it reports any, else the sum over its jobs. Counts
// and times ascend. A bucket's count was said within it, so it stands in its middle; the newest count has
// the moment at which it was said first.
func (t *derivedTier) curve() []curvePoint {
	if drawn := t.points.Load(); drawn != nil {
		return *drawn
	}
	drawn := t.drawCurve()
	t.points.Store(&drawn)
	return drawn
}

func (t *derivedTier) drawCurve() []curvePoint {
	if t.own != nil && t.own.Processed.N > 0 {
		return curveOf(t.own.Series, t.own.Processed)
	}
	type step struct {
		curvePoint
		job int
	}
	var steps []step
	jobs := 0
	for _, j := range t.jobs {
		if j.superseded {
			continue
		}
		for _, p := range curveOf(j.j.Series, j.j.Processed) {
			steps = append(steps, step{p, jobs})
		}
		jobs++
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	counts := make([]int64, jobs)
	var out []curvePoint
	sum := int64(0)
	for _, s := range steps {
		sum += s.n - counts[s.job]
		counts[s.job] = s.n
		out = appendPoint(out, curvePoint{s.at, sum})
	}
	return out
}

// stretch is the first and the last point of the curve, without the rest.
func (t *derivedTier) stretch() (first, last curvePoint, ok bool) {
	if t.own == nil || t.own.Processed.N == 0 {
		c := t.curve()
		if len(c) == 0 {
			return first, last, false
		}
		return c[0], c[len(c)-1], true
	}
	m, s := t.own.Processed, t.own.Series
	last = curvePoint{m.At.Time, m.N}
	first = last
	for _, p := range s.Points {
		if at := p.Bucket<<s.Shift*1e9 + int64(1e9)<<s.Shift/2; p.N > 0 && p.N < m.N && at < first.at {
			return curvePoint{at, p.N}, last, true
		}
	}
	return first, last, true
}

func curveOf(s crdt.Series, newest crdt.Counter) []curvePoint {
	out := make([]curvePoint, 0, len(s.Points)+1)
	half := int64(1e9) << s.Shift / 2
	for _, p := range s.Points {
		at := p.Bucket<<s.Shift*1e9 + half
		if p.N >= newest.N {
			break
		}
		if p.N > 0 && at < newest.At.Time {
			out = appendPoint(out, curvePoint{at, p.N})
		}
	}
	if newest.N > 0 {
		out = appendPoint(out, curvePoint{newest.At.Time, newest.N})
	}
	return out
}

// appendPoint keeps times and counts ascending: of points at one moment the last, and never a lower count.
func appendPoint(c []curvePoint, p curvePoint) []curvePoint {
	if n := len(c); n > 0 {
		p.n = max(p.n, c[n-1].n)
		if c[n-1].at == p.at {
			c[n-1] = p
			return c
		}
	}
	return append(c, p)
}
