package judge

import (
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Late events alone don't mean a wrong clock: a backfill is late, too. A clock is wrong if events have times in the future, or if
// a source sends events at the pace of their own times and these are long past.
func (p *Policy) clockOff(c *view.SourceClock) (lag int64, known, off bool) {
	last := c.LastStored - c.Last.Time
	if last-c.Least > int64(p.Clock) { // a clock that was corrected counts as right
		return 0, false, false
	}
	switch stored, said := c.LastStored-c.FirstStored, c.Last.Time-c.First.Time; {
	case c.Least < -int64(p.Clock):
		return c.Least, true, true
	case c.Least > int64(p.Clock) && stored >= int64(p.ClockSpan):
		drift := said - stored
		if drift < 0 {
			drift = -drift
		}
		return c.Least, false, drift <= int64(2*time.Second)+stored/10
	}
	return 0, false, false
}

// shifts are by how much the times of sources with a wrong clock are moved, nil if there are none.
func (d *Derived) shifts(p Policy) map[string]int64 {
	var out map[string]int64
	for _, c := range d.State.Sources {
		if lag, _, off := p.clockOff(c); off {
			if out == nil {
				out = make(map[string]int64, 1)
			}
			out[c.Name] = lag
		}
	}
	return out
}

// judged is the time of an event, shifted if its source's clock is wrong.
func (c *court) judged(at int64, by crdt.Stamp) int64 {
	if at == 0 || c.shift == nil {
		return at
	}
	return at + c.shift[by.Source]
}

func (c *court) stamp(s crdt.Stamp) int64 { return c.judged(s.Time, s) }

// heard is the time of the latest event about a tier, or of its arrival if a clock is wrong.
func (c *court) heard(t *Tier) int64 {
	if c.shift != nil {
		if at := c.d.State.TierStored(t.Num); at != 0 {
			return at
		}
	}
	return t.Heard
}
