package judge

import (
	"cmp"
	"slices"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
)

// CurvePoint is a count that was reported at about a moment, in nanoseconds.
type CurvePoint struct{ At, N int64 }

// Curve is a tier's progress over time: its own if it reports any, otherwise the sum over its jobs. Counts
// and times ascend. A bucket's count was reported within the bucket, so its point is in the middle; the newest count has
// the time at which it was reported first.
func (t *Tier) Curve() []CurvePoint {
	if drawn := t.points.Load(); drawn != nil {
		return *drawn
	}
	drawn := t.drawCurve()
	t.points.Store(&drawn)
	return drawn
}

func (t *Tier) drawCurve() []CurvePoint {
	if t.Own != nil && t.Own.Processed.N > 0 {
		return CurveOf(t.Own.Series, t.Own.Processed)
	}
	type step struct {
		CurvePoint
		job int
	}
	var steps []step
	jobs := 0
	for _, j := range t.Jobs {
		if j.Superseded {
			continue
		}
		for _, p := range CurveOf(j.State.Series, j.State.Processed) {
			steps = append(steps, step{p, jobs})
		}
		jobs++
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.At, b.At) })
	counts := make([]int64, jobs)
	var out []CurvePoint
	sum := int64(0)
	for _, s := range steps {
		sum += s.N - counts[s.job]
		counts[s.job] = s.N
		out = appendPoint(out, CurvePoint{s.At, sum})
	}
	return out
}

// Stretch is the first and the last point of the curve, without the rest.
func (t *Tier) Stretch() (first, last CurvePoint, ok bool) {
	if t.Own == nil || t.Own.Processed.N == 0 {
		c := t.Curve()
		if len(c) == 0 {
			return first, last, false
		}
		return c[0], c[len(c)-1], true
	}
	m, s := t.Own.Processed, t.Own.Series
	last = CurvePoint{m.At.Time, m.N}
	first = last
	for _, p := range s.Points {
		if at := p.Bucket<<s.Shift*1e9 + int64(1e9)<<s.Shift/2; p.N > 0 && p.N < m.N && at < first.At {
			return CurvePoint{at, p.N}, last, true
		}
	}
	return first, last, true
}

// CurveOf is the curve of one counter: its series, and its newest count.
func CurveOf(s crdt.Series, newest crdt.Counter) []CurvePoint {
	out := make([]CurvePoint, 0, len(s.Points)+1)
	half := int64(1e9) << s.Shift / 2
	for _, p := range s.Points {
		at := p.Bucket<<s.Shift*1e9 + half
		if p.N >= newest.N {
			break
		}
		if p.N > 0 && at < newest.At.Time {
			out = appendPoint(out, CurvePoint{at, p.N})
		}
	}
	if newest.N > 0 {
		out = appendPoint(out, CurvePoint{newest.At.Time, newest.N})
	}
	return out
}

// appendPoint keeps times and counts ascending: of points at one moment the last, and never a lower count.
func appendPoint(c []CurvePoint, p CurvePoint) []CurvePoint {
	if n := len(c); n > 0 {
		p.N = max(p.N, c[n-1].N)
		if c[n-1].At == p.At {
			c[n-1] = p
			return c
		}
	}
	return append(c, p)
}
