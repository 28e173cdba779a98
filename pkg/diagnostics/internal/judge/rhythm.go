package judge

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// forever is a moment that never comes.
const forever = int64(math.MaxInt64)

// rhythm is how often a tier reports and makes progress, computed from its bounded series.
type rhythm struct {
	gap      int64 // the longest time between two points
	rise     int64 // the longest time between two points at which the count rose
	rises    int   // points at which the count rose
	back     *fall // a count that fell, the first found
	fallMark int64 // the latest progress other than that of the maximum, 0 if there is none
}

// fall is a count that went back.
type fall struct {
	from, to int64
	at       crdt.Stamp // of the maximum
	source   string     // who reported last; "" if unknown
	since    int64
}

// beats is the tier's rhythm, computed once.
func (t *Tier) beats() *rhythm {
	if drawn := t.rhythm.Load(); drawn != nil {
		return drawn
	}
	drawn := t.drawRhythm(cmp.Or(t.Start, t.first.Time))
	t.rhythm.Store(drawn)
	return drawn
}

func (t *Tier) drawRhythm(begin int64) *rhythm {
	r := &rhythm{}
	points := gaps{begin: begin, several: t.severalSeries()}
	risen := points
	look := func(s crdt.Series, c crdt.Counter, spoke string, starts []int64) {
		high := int64(0)
		for i, p := range s.Points {
			at := p.Bucket << s.Shift * int64(time.Second)
			points.add(at)
			if p.N > high || i == 0 && p.N > 0 {
				risen.add(at)
				high = p.N
			}
		}
		back, mark := falls(s, c, starts)
		if back != nil && r.back == nil {
			back.source = spoke
			r.back = back
		}
		r.fallMark = max(r.fallMark, mark)
	}
	var starts []int64
	for _, j := range t.Jobs {
		if j.Start != 0 {
			starts = append(starts, j.Start)
		}
	}
	slices.Sort(starts)
	if a := t.AttemptState; a != nil {
		look(a.Whole.Series, a.Whole.Processed, a.Total.At.Source, starts)
		for _, w := range a.Workers {
			fell := r.back
			look(w.Series, w.Processed, "", starts)
			r.back = fell // a worker that is tried again counts from 0 by contract, which isn't a fall
		}
	}
	for _, j := range t.Jobs {
		if !j.Superseded {
			look(j.State.Series, j.State.Processed, j.State.Words.Shown().Last.Source, nil)
		}
	}
	r.gap, _ = points.longest()
	r.rise, r.rises = risen.longest()
	return r
}

// severalSeries reports that points of more than one series make up the rhythm.
func (t *Tier) severalSeries() bool {
	n := 0
	put := func(s crdt.Series) {
		if len(s.Points) > 0 {
			n++
		}
	}
	if a := t.AttemptState; a != nil {
		put(a.Whole.Series)
		for _, w := range a.Workers {
			put(w.Series)
		}
	}
	for _, j := range t.Jobs {
		put(j.State.Series)
	}
	return n > 1
}

// gaps finds the longest gap between moments. With fewer than three, the begin counts as one.
type gaps struct {
	begin       int64
	several     bool    // they come from several series, so they have to be sorted
	moments     []int64 // only then
	first, last int64
	n           int
	most        int64
}

func (g *gaps) add(at int64) {
	if g.several {
		g.moments = append(g.moments, at)
	} else {
		g.next(at)
	}
}

// next takes the moments in their order.
func (g *gaps) next(at int64) {
	switch {
	case g.n == 0:
		g.first, g.last, g.n = at, at, 1
	case at > g.last:
		g.most = max(g.most, at-g.last)
		g.last = at
		g.n++
	}
}

// longest is the longest gap, and how many moments there are.
func (g *gaps) longest() (gap int64, n int) {
	slices.Sort(g.moments)
	for _, at := range g.moments {
		g.next(at)
	}
	if g.n > 0 && g.n < 3 && g.begin != 0 && g.begin < g.first {
		g.most = max(g.most, g.first-g.begin)
	}
	return g.most, g.n
}

// falls finds out whether a series' count went back, and the time of the latest progress after that: after a job's start the
// points above all others since that start, otherwise from the third of several rising points on. The time is the end of a bucket.
func falls(s crdt.Series, c crdt.Counter, starts []int64) (back *fall, mark int64) {
	if c.N == 0 || len(s.Points) == 0 {
		return nil, 0
	}
	bucket := c.At.Time / int64(time.Second) >> s.Shift
	after := s.Points
	for len(after) > 0 && after[0].Bucket <= bucket {
		after = after[1:]
	}
	if len(after) == 0 {
		return nil, 0
	}
	last := after[len(after)-1]
	if below := len(after); below >= 2 && last.N < c.N {
		back = &fall{from: c.N, to: last.N, at: c.At, since: after[0].Bucket << s.Shift * int64(time.Second)}
	}
	end := func(p crdt.Point) int64 { return (p.Bucket + 1) << s.Shift * int64(time.Second) }
	begun := int64(0)
	for _, at := range starts {
		if at > c.At.Time {
			begun = at
			break
		}
	}
	high, row := int64(-1), 0
	for i, p := range after {
		if begun != 0 {
			if at := p.Bucket << s.Shift * int64(time.Second); at >= begun && p.N > high {
				high, mark = p.N, end(p)
			}
			continue
		}
		if i > 0 && p.N > after[i-1].N {
			row++
		} else {
			row = 1
		}
		if row >= 3 {
			mark = end(p)
		}
	}
	return back, mark
}

// pause is the longest usual silence if the longest gap so far was gap.
func (p *Policy) pause(gap int64) int64 {
	return max(int64(p.PauseLeast), int64(p.PauseTimes)*gap)
}

// moverLimit is the timeout of a tier that makes progress. If single documents take long it is 1.5 times the longest so far.
func (p *Policy) moverLimit(r *rhythm) time.Duration {
	limit := p.Timeout
	if r.rises >= 3 {
		limit = max(limit, min(time.Duration(r.rise*3/2), p.TimeoutMost))
	}
	return limit
}

// handled is the number of documents that are done. If the sum exceeds the total, the failed ones are assumed to be among the processed.
func (t *Tier) handled() int64 {
	n := event.Plus(t.Processed, t.Failed)
	if !t.TotalKnown || n <= t.Total {
		return n
	}
	return min(max(t.Processed, 0), t.Total)
}

// Handled is the number of its documents that were processed or failed.
func (t *Tier) Handled() int64 { return t.handled() }

// AllHandled reports that all documents of the tier were handled.
func (t *Tier) AllHandled() bool {
	return t.TotalKnown && t.Total > 0 && t.handled() >= t.Total && t.beats().back == nil
}
