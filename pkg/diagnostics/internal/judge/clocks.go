package judge

import (
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Lateness alone is no clock that is off: a backfill is late, too. A clock is off where words come from the future, or where a
// source speaks at the pace of its own times, and these are long past.
func (p *Policy) clockOff(c *view.SourceClock) (lag int64, known, off bool) {
	last := c.LastStored - c.Last.Time
	if last-c.Least > int64(p.Clock) { // a clock that was set right is right
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

// shifts are by how much the words of sources are judged later than they say, nil if none are.
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

// judged is a moment that a word carries as it is judged: shifted where its source's clock is off.
func (c *court) judged(at int64, by crdt.Stamp) int64 {
	if at == 0 || c.shift == nil {
		return at
	}
	return at + c.shift[by.Source]
}

func (c *court) stamp(s crdt.Stamp) int64 { return c.judged(s.Time, s) }

// heard is when the latest word about a tier was said, or came where a clock is off.
func (c *court) heard(t *Tier) int64 {
	if c.shift != nil {
		if at := c.d.State.TierStored(t.Num); at != 0 {
			return at
		}
	}
	return t.Heard
}
