package answer

import (
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
)

// A cold start is known only if one series counts the tier and shows when counting began: a 0 was reported after the start, or
// the pace right after the first report shows how long its documents took. Otherwise the tier may have worked without reporting.
const (
	leastCold  = int64(30 * 1e9)
	coldRises  = 3  // rises after the first point
	coldPoints = 10 // among so many
)

// coldStart is the shortest time during which a tier's job can have processed nothing after its start; 0 if unknown.
func coldStart(t *judge.Tier) (start, least int64) {
	s, alone := onlySeries(t)
	for _, j := range t.Jobs {
		if j.Start != 0 && (start == 0 || j.Start < start) {
			start = j.Start
		}
	}
	if !alone || start == 0 {
		return 0, 0
	}
	var first crdt.Point
	slowest, rises, after := 0.0, 0, 0 // documents a second
	var before crdt.Point
	for _, p := range s.Points {
		at := p.Bucket << s.Shift * 1e9
		switch {
		case p.N == 0 && first.N == 0:
			least = max(0, at-start)
		case first.N == 0 && p.N > 0:
			first, before = p, p
		case first.N > 0 && after < coldPoints:
			after++
			if p.N > before.N {
				rises++
				if rate := float64(p.N-before.N) / float64((p.Bucket-before.Bucket)<<s.Shift); slowest == 0 || rate < slowest {
					slowest = rate
				}
				before = p
			}
		}
	}
	if at := first.Bucket << s.Shift * 1e9; rises >= coldRises {
		least = max(least, at-start-int64(float64(first.N)/slowest*1e9))
	}
	if least < leastCold {
		return start, 0
	}
	return start, least
}

// onlySeries is the one series in which a tier counts: its own, or that of its only job.
func onlySeries(t *judge.Tier) (s crdt.Series, alone bool) {
	if a := t.AttemptState; a != nil {
		if len(a.Workers) > 0 {
			return s, false
		}
		if len(a.Whole.Series.Points) > 0 {
			s, alone = a.Whole.Series, true
		}
	}
	for _, j := range t.Jobs {
		if len(j.State.Series.Points) == 0 {
			continue
		}
		if alone {
			return s, false
		}
		s, alone = j.State.Series, true
	}
	return s, alone
}
