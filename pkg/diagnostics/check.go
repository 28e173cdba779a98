package diagnostics

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
}

// Settling is the end of a batch of which no event ever said a status.
type Settling struct {
	Status    event.Word
	LastHeard int64 // nanoseconds; the event's time, and part of its id
}

func (d *derived) due(cases []judgement, asOf int64, p Policy) (Publication, bool) {
	if d.settles() && asOf-d.s.Last > int64(p.Settle) {
		return Publication{Settled: &Settling{Status: d.settledStatus(), LastHeard: d.s.Last}}, true
	}
	v := d.verdict(cases, asOf, p)
	last, ordinal := d.s.LastAnnounced()
	if v.Health == last {
		return Publication{}, false
	}
	if v.Health == event.HealthScaling && asOf-v.Evidence.Since.UnixNano() < int64(p.ScalingDelay) {
		return Publication{}, false
	}
	return Publication{Announcement: &Announcement{Ordinal: ordinal, From: last, To: v.Health, Verdict: v}}, true
}

// settles reports whether silence alone will end the batch: nobody ever said its status, and nothing of
// it is at work or due.
func (d *derived) settles() bool {
	return !d.s.StatusSaid && d.status == event.WordProcessing && d.liveJobs == 0 && len(d.open) == 0
}

func (d *derived) settledStatus() event.Word {
	switch {
	case d.failedTiers > 0:
		return event.WordFailed
	case d.failedDocs > 0:
		return event.WordCompletedWithErrors
	}
	return event.WordCompleted
}

func (d *derived) nextCheck(asOf int64, p Policy) (time.Time, bool) {
	cases := d.judge(p)
	if _, due := d.due(cases, asOf, p); due {
		return time.Unix(0, asOf).UTC(), true
	}
	now := d.verdict(cases, asOf, p)
	for _, t := range d.boundaries(cases, asOf, p) {
		if _, due := d.due(cases, t, p); due || !now.same(d.verdict(cases, t, p)) {
			return time.Unix(0, t).UTC(), true
		}
	}
	return time.Time{}, false
}

// boundaries are the moments after asOf at which a verdict can change, in order. A limit that is
// reached exactly is still kept: a timer fires one nanosecond later.
func (d *derived) boundaries(cases []judgement, asOf int64, p Policy) []int64 {
	at := make([]int64, 0, 4)
	put := func(t int64) {
		if t > asOf {
			at = append(at, t)
		}
	}
	for i := range cases {
		j := &cases[i]
		put(j.since + int64(j.limit) + 1)
		put(j.since + int64(p.ScalingDelay))
		if j.cause != nil {
			put(j.cause.since + int64(p.Grace) + 1)
		}
	}
	if d.settles() {
		put(d.s.Last + int64(p.Settle) + 1)
	}
	slices.Sort(at)
	return slices.Compact(at)
}
