package judge

import (
	"slices"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Publication is an event that the detector has to publish: an announcement or a settling.
type Publication struct {
	Announcement *Announcement
	Settled      *Settling
}

// Announcement is a change of health to publish.
type Announcement struct {
	Ordinal  int64 // how many were announced before it
	From, To event.Health
	Verdict  Verdict

	CauseFrom, CauseTo string // codes; "": none, or none was said
}

// Settling is the end of a batch whose status no event ever reported.
type Settling struct {
	Status    event.Word
	LastHeard int64 // nanoseconds; the event's time, and part of its id
}

// Due returns what has to be published at asOf. cases are the result of Judge.
func (d *Derived) Due(cases *Cases, asOf int64, p Policy) (Publication, bool) {
	if d.Settles() && asOf-d.Quiet() > int64(p.Settle) {
		return Publication{Settled: &Settling{Status: d.SettledStatus(), LastHeard: d.State.Last}}, true
	}
	v := d.Verdict(cases, asOf, p)
	last, ordinal := d.State.LastAnnounced()
	if v.Health == last {
		return Publication{}, false
	}
	if v.Health == event.HealthScaling && asOf-v.Evidence.Since.UnixNano() < int64(p.ScalingDelay) {
		return Publication{}, false
	}
	a := &Announcement{Ordinal: ordinal, From: last, To: v.Health, Verdict: v, CauseTo: v.Code()}
	if n := len(d.State.Announcements); n > 0 {
		a.CauseFrom = d.State.Announcements[n-1].Said.V.CauseTo.V
	}
	return Publication{Announcement: a}, true
}

// Settles reports whether silence alone will end the batch: its status was never reported, and nothing of
// it is being processed or due.
func (d *Derived) Settles() bool {
	return !d.State.StatusSaid && d.Status == event.WordProcessing && d.liveJobs == 0 && len(d.Open) == 0
}

// Quiet is the time of the batch's latest event, or of the latest arrival of one if that is later: an import of old events isn't
// settled while more of them arrive.
func (d *Derived) Quiet() int64 { return max(d.State.Last, d.State.LastStored) }

// SettledStatus is the status as which the batch is settled.
func (d *Derived) SettledStatus() event.Word {
	switch {
	case d.FailedTiers > 0:
		return event.WordFailed
	case d.FailedDocs > 0:
		return event.WordCompletedWithErrors
	}
	return event.WordCompleted
}

// NextCheck is the earliest moment from asOf on at which a verdict changes or something becomes due; asOf itself if
// something is due already.
func (d *Derived) NextCheck(asOf int64, p Policy) (time.Time, bool) {
	cases := d.Judge(p)
	if _, due := d.Due(cases, asOf, p); due {
		return time.Unix(0, asOf).UTC(), true
	}
	now := d.Verdict(cases, asOf, p)
	for _, t := range d.Boundaries(cases, asOf, p) {
		if _, due := d.Due(cases, t, p); due || !now.Same(d.Verdict(cases, t, p)) {
			return time.Unix(0, t).UTC(), true
		}
	}
	return time.Time{}, false
}

// Boundaries are the moments after asOf at which a verdict can change, in order. A limit that is
// reached exactly hasn't passed yet: a timer fires one nanosecond later.
func (d *Derived) Boundaries(cases *Cases, asOf int64, p Policy) []int64 {
	at := make([]int64, 0, 4)
	put := func(t int64) {
		if t > asOf {
			at = append(at, t)
		}
	}
	for i := range cases.Tiers {
		j := &cases.Tiers[i]
		put(j.Since + int64(p.ScalingDelay))
		boundaries(j.Findings, put)
	}
	boundaries(cases.After, put)
	if d.Settles() {
		put(d.Quiet() + int64(p.Settle) + 1)
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// boundaries are the moments at which findings begin, end or make a tier stuck.
func boundaries(of []Finding, put func(int64)) {
	for i := range of {
		for _, at := range []int64{of[i].From, of[i].Until, of[i].StuckAt} {
			if at != forever && at != -forever {
				put(at + 1)
			}
		}
	}
}

// AnswerBoundaries are the moments after asOf at which anything in an answer can change: those of the verdict, of doubts and of silences.
func (d *Derived) AnswerBoundaries(cases *Cases, asOf int64, p Policy) []int64 {
	at := d.Boundaries(cases, asOf, p)
	put := func(t int64) {
		if t > asOf {
			at = append(at, t)
		}
	}
	boundaries(cases.Doubts, put)
	for i := range cases.Tiers {
		for _, t := range []int64{cases.Tiers[i].Quiet, cases.Tiers[i].Paused} {
			if t != forever {
				put(t + 1)
			}
		}
	}
	slices.Sort(at)
	return slices.Compact(at)
}
