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

// Due returns what has to be published at asOf.
func (cases *Cases) Due(asOf int64) (Publication, bool) {
	d := cases.d
	r := cases.rule(asOf)
	switch {
	case cases.settles(asOf):
		return Publication{Settled: &Settling{Status: d.SettledStatus(), LastHeard: d.State.Last}}, true
	case !cases.announces(r, asOf):
		return Publication{}, false
	}
	v := cases.word(r, asOf)
	last, ordinal := d.State.LastAnnounced()
	a := &Announcement{Ordinal: ordinal, From: last, To: v.Health, Verdict: v, CauseTo: v.Code()}
	if n := len(d.State.Announcements); n > 0 {
		a.CauseFrom = d.State.Announcements[n-1].Said.V.CauseTo.V
	}
	return Publication{Announcement: a}, true
}

// settles reports that silence has ended the batch.
func (cases *Cases) settles(asOf int64) bool {
	return cases.d.Settles() && asOf-cases.d.Quiet() > int64(cases.p.Settle)
}

// causePause is the least time between an announcement and the next one, if the cause changes and the health doesn't.
const causePause = int64(time.Minute)

// announces reports that a ruling has to be announced: it changes the health or the cause, and has stood for long enough.
func (cases *Cases) announces(r ruling, asOf int64) bool {
	last, _ := cases.d.State.LastAnnounced()
	if r.health != last {
		return r.health != event.HealthScaling || asOf-r.speaks.Since >= int64(cases.p.ScalingDelay)
	}
	at, ok := cases.causeAnnounced(r)
	return ok && asOf >= at
}

// causeAnnounced is the moment from which on a ruling's cause is announced by itself; ok is false if it need not be. An announcement of
// a version that named no cause stands for any cause. After the end only health is announced.
func (cases *Cases) causeAnnounced(r ruling) (at int64, ok bool) {
	from := ""
	if n := len(cases.d.State.Announcements); n > 0 {
		said := &cases.d.State.Announcements[n-1].Said.V
		if !said.CauseTo.Set {
			return 0, false
		}
		from, at = said.CauseTo.V, said.AsOf+causePause
	}
	if cases.d.Finished() || r.code() == from {
		return 0, false
	}
	if r.cause != nil {
		at = max(at, r.cause.Since+int64(cases.p.ScalingDelay))
	}
	return at, true
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

// maxAhead is how many moments Ahead goes through. Of thousands of tiers each has its own, most of which change nothing.
const maxAhead = 1_000

// Ahead are the moments after asOf at which, with no new event, the verdict changes, and at which it does or something becomes due; the
// latter is asOf itself if something is due already. 0 is never. If maxAhead moments change nothing, both are at most the last of these: one
// has to look again then.
func (cases *Cases) Ahead(asOf int64) (verdict, check int64) {
	w := cases.sweep(asOf)
	now := w.rule(asOf)
	due := func(r ruling, at int64) bool { return cases.settles(at) || cases.announces(r, at) }
	if due(now, asOf) {
		check = asOf
	}
	moments := cases.others(asOf) // beside those of the tiers
	if at, ok := cases.causeAnnounced(now); ok && at > asOf {
		moments = append(moments, at)
		slices.Sort(moments)
	}
	for n := 1; ; n++ {
		t := w.next()
		if len(moments) > 0 && moments[0] <= t {
			t, moments = moments[0], moments[1:]
		}
		if t == forever {
			return 0, check
		}
		then := w.rule(t)
		changes := then != now && !cases.word(then, t).Same(cases.word(now, t))
		if check == 0 && (changes || due(then, t)) {
			check = t
		}
		if n == maxAhead && check == 0 {
			check = t
		}
		if changes || n == maxAhead {
			return t, check
		}
	}
}

// Boundaries are the moments after asOf at which a verdict can change, in order. A limit that is
// reached exactly hasn't passed yet: a timer fires one nanosecond later.
func (cases *Cases) Boundaries(asOf int64) []int64 {
	at := cases.others(asOf)
	put := func(t int64) {
		if t > asOf {
			at = append(at, t)
		}
	}
	for i := range cases.Tiers {
		j := cases.Tiers[i]
		put(j.Since + int64(cases.p.ScalingDelay))
		boundaries(j.Findings, put)
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// others are the boundaries that don't belong to a tier, in order.
func (cases *Cases) others(asOf int64) []int64 {
	at := make([]int64, 0, 4)
	put := func(t int64) {
		if t > asOf {
			at = append(at, t)
		}
	}
	boundaries(cases.After, put)
	if cases.d.Settles() {
		put(cases.d.Quiet() + int64(cases.p.Settle) + 1)
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
func (cases *Cases) AnswerBoundaries(asOf int64) []int64 {
	at := cases.Boundaries(asOf)
	put := func(t int64) {
		if t > asOf {
			at = append(at, t)
		}
	}
	boundaries(cases.Doubts(), put)
	for _, j := range cases.d.Jobs {
		if max(j.Submitted, j.Start, j.End, j.State.Last) <= asOf {
			continue
		}
		for _, p := range j.Phases() { // a source's clock is ahead: phases begin and end at its times
			put(p.From)
			put(p.To)
		}
	}
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
