package view

import (
	"math"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
)

// SourceClock is what shows whether a source's clock is right: the times of its events compared with the moments at which these
// were stored.
type SourceClock struct {
	Name                    string
	Stamps                  int32
	Least                   int64       // the least lag: stored − time, negative if the times are in the future
	First, Last             crdt.Stamp  // the first and the last event
	FirstStored, LastStored int64       // when these were stored, for the first time if several times
	Beats                   crdt.Series // when it reported
}

// maxBeats limits the kept moments at which a source reported.
const maxBeats = 32

// fewSources is the number of sources that are compared one by one before a binary search.
const fewSources = 4

// StoredSince is a moment before which no event of a producer in v was stored: of each source the earliest time plus the least lag. ok is
// false if not all sources are known, or if there are proofs, which say nothing about the clock of their source.
func StoredSince(v *View) (at time.Time, ok bool) {
	least := int64(math.MaxInt64)
	for _, c := range v.state.Sources {
		least = min(least, c.First.Time+c.Least)
	}
	if len(v.state.Sources) == 0 || v.state.SourcesCut.Set || len(v.state.Proofs) > 0 || v.state.ProofsCut.Set {
		return at, false
	}
	return time.Unix(0, least).UTC(), true
}

// Refusals is how many rejected messages v has; more says that there were others, which it doesn't count.
func Refusals(v *View) (n int, more bool) { return len(v.state.Refused.Hashes), v.state.Refused.More }

func (s *State) source(name string) (*SourceClock, bool) {
	for _, c := range s.Sources[:min(len(s.Sources), fewSources)] { // as nearly always
		if c.Name == name {
			return c, false
		}
	}
	return crdt.Smallest(&s.Sources, &s.SourcesCut, MaxSources, crdt.Name(name), sourceName,
		func() *SourceClock { return &SourceClock{Name: strings.Clone(name)} })
}

// clock records when an event of a source was stored.
func (f *folder) clock() {
	if f.stored == 0 {
		return
	}
	c, made := f.s.source(f.at.Source)
	if c == nil {
		f.did(made)
		return
	}
	f.entry(&c.Stamps, made)
	if made {
		f.grown += len(c.Name) + 2*(len(c.Name)+len(f.at.ID)+weightStamp)
	}
	f.did(c.say(f.at, f.stored, f.stored-f.at.Time))
	f.point(&c.Beats, 1, maxBeats)
}

func (c *SourceClock) say(at crdt.Stamp, stored, lag int64) bool {
	if c.First.IsZero() {
		c.Least, c.First, c.Last, c.FirstStored, c.LastStored = lag, at, at, stored, stored
		return true
	}
	changed := c.first(at, stored)
	if c.last(at, stored) {
		changed = true
	}
	if lag < c.Least {
		c.Least, changed = lag, true
	}
	return changed
}

func (c *SourceClock) first(at crdt.Stamp, stored int64) bool {
	if at.Time > c.First.Time {
		return false
	}
	if d := at.Compare(c.First); d > 0 || d == 0 && stored >= c.FirstStored {
		return false
	}
	c.First, c.FirstStored = at, stored
	return true
}

func (c *SourceClock) last(at crdt.Stamp, stored int64) bool {
	if at.Time <= c.Last.Time {
		if d := at.Compare(c.Last); d < 0 || d == 0 && stored >= c.LastStored {
			return false
		}
	}
	c.Last, c.LastStored = at, stored
	return true
}

func (w *walker) source(c, o *SourceClock) {
	w.length(&c.Stamps, o.Stamps)
	if w.joining {
		if !o.First.IsZero() {
			c.say(o.First, o.FirstStored, o.Least)
			c.say(o.Last, o.LastStored, o.Least)
			c.Beats.Join(o.Beats, maxBeats)
		}
		return
	}
	w.str(&c.Name)
	w.i(&c.Least)
	w.stamp(&c.First)
	w.stamp(&c.Last)
	w.since(&c.FirstStored, c.First.Time)
	w.since(&c.LastStored, c.Last.Time)
	w.series(&c.Beats, &o.Beats, maxBeats)
}

// since writes a moment as its distance from another.
func (w *walker) since(p *int64, from int64) {
	d := *p - from
	w.i(&d)
	*p = from + d
}

// storedLast raises the moment at which the latest of some events was stored.
func (f *folder) storedLast(at *int64) {
	if f.stored > *at {
		*at, f.changed = f.stored, true
	}
}

// TierStored is when the latest stored event about a tier was stored: its own, or one of its jobs'.
func (s *State) TierStored(n int32) int64 {
	last := int64(0)
	for _, t := range s.Tiers {
		if t.Num == n {
			last = t.LastStored
		}
	}
	for _, j := range s.Jobs {
		if j.Tier.V == Number(n) {
			last = max(last, j.LastStored)
		}
	}
	return last
}
