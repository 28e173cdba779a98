package judge

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Derived is what follows from a view alone, whatever the time.
type Derived struct {
	View  *view.View
	State *view.State
	Tiers []*Tier // ascending
	Jobs  []*Job  // by submission id

	Attempt      int32 // the batch attempt shown, 1 if none was named
	Batch        *view.BatchAttempt
	firstWord    crdt.Stamp // of that attempt; zero if none
	Status       event.Word // WordNone: unknown
	TotalTiers   int
	Open         []*Tier // open tiers, or the one that is due next; a due one may be not yet in tiers
	gap          *Tier   // the one that is due, where later ones have begun
	lastBegun    *Tier   // the highest tier that has begun
	Start, End   int64
	FailedTiers  int
	FailedDocs   int64
	HasFailures  bool
	liveJobs     int // of highest attempts
	SettlingDone bool

	leftOnce sync.Once
	left     []string       // of LeftOut
	withJobs map[int32]bool // tiers that jobs name
}

// Tier is a tier in its highest attempt, and what follows for it.
type Tier struct {
	Num          int32
	State        *view.Tier        // nil when only jobs name it
	AttemptState *view.TierAttempt // the highest attempt; nil when only jobs name it
	Attempt      int32
	first        crdt.Stamp // first word of that attempt, zero if none
	last         int64      // last word of that attempt
	Heard        int64      // latest word about the tier, its jobs included
	Jobs         []*Job
	Status       event.Word
	saidEnd      bool // its end was reported, not derived from jobs
	begun        bool
	ever         bool // any of its attempts was beyond PENDING or made progress
	Start        int64
	startBy      crdt.Stamp
	End          int64
	Mark         crdt.Stamp // latest progress mark of its own documents
	Moved        crdt.Stamp // latest progress mark, its own or of a job that isn't superseded; of stages where no document was ever counted

	Own              *view.Tally // what its highest attempt counted itself; nil when only jobs name it
	Processed, Total int64       // as reported: not clamped
	TotalKnown       bool
	Failed           int64
	GPU              event.Opt[bool]
	points           atomic.Pointer[[]CurvePoint] // of Curve, once computed
	rhythm           atomic.Pointer[rhythm]
	canceled         bool // derived of a batch that was canceled
	moving           atomic.Pointer[moving]
}

// Derive computes what follows from a view, whatever the time.
func Derive(v *view.View) *Derived {
	d := &Derived{View: v, State: view.Of(v), Attempt: 1}
	if n := len(d.State.Attempts); n > 0 {
		d.Batch = d.State.Attempts[n-1]
		d.Attempt, d.firstWord = d.Batch.Num, d.Batch.First
	}
	canceled := d.Batch != nil && d.Batch.Words.Shown().Word == event.WordCanceled
	d.deriveJobs()
	fresh := d.deriveTiers(canceled)
	d.supersede()
	for _, t := range fresh {
		t.canceled = canceled
		t.derive(canceled)
		if t.State != nil && !d.withJobs[t.Num] {
			d.State.KeepDerived(t.State, t)
		}
	}
	d.deriveTotals()
	d.deriveOpen()
	d.deriveStatus()
	d.deriveSpan()
	return d
}

func (d *Derived) deriveTotals() {
	d.TotalTiers = 1
	if d.State.TotalTiers.Set {
		d.TotalTiers = max(d.TotalTiers, int(d.State.TotalTiers.V))
	}
	if n := len(d.Tiers); n > 0 {
		d.TotalTiers = max(d.TotalTiers, int(d.Tiers[n-1].Num)+1)
	}
	for _, t := range d.Tiers {
		d.FailedDocs = event.Plus(d.FailedDocs, t.Failed)
		if t.Status == event.WordFailed {
			d.FailedTiers++
		}
		for _, j := range t.Jobs {
			if !j.Superseded && j.Status == event.WordFailed {
				d.HasFailures = true
			}
			if j.Live() {
				d.liveJobs++
			}
		}
	}
}

// deriveOpen finds the open tiers: those begun and not terminal; if there is none the lowest that never began; if
// nothing has begun, tier 0.
func (d *Derived) deriveOpen() {
	open := 0
	for _, t := range d.Tiers {
		if t.begun {
			d.lastBegun = t
			if t.open() {
				open++
			}
		}
	}
	d.Open = make([]*Tier, 0, open)
	for _, t := range d.Tiers {
		if t.begun && t.open() {
			d.Open = append(d.Open, t)
		}
	}
	switch {
	case len(d.Open) > 0:
	case d.lastBegun == nil:
		d.Open = []*Tier{d.TierOrNew(0)}
	case d.lastBegun.Status == event.WordCompleted || d.lastBegun.Status == event.WordSkipped:
		for n := range d.TotalTiers {
			t := d.TierOrNew(int32(n))
			if t.begun {
				continue
			}
			d.Open = []*Tier{t}
			if t.Num < d.lastBegun.Num {
				d.gap = t
			}
			break
		}
	}
}

func (t *Tier) open() bool { return t.Status.Rank() != event.RankTerminal }

// TierAt is the tier of this number, nil if nothing names it.
func (d *Derived) TierAt(n int32) *Tier {
	if n >= 0 && int(n) < len(d.Tiers) && d.Tiers[n].Num == n {
		return d.Tiers[n]
	}
	i, found := slices.BinarySearchFunc(d.Tiers, n, func(t *Tier, n int32) int { return cmp.Compare(t.Num, n) })
	if !found {
		return nil
	}
	return d.Tiers[i]
}

// TierOrNew is the tier of this number, or one without any events.
func (d *Derived) TierOrNew(n int32) *Tier {
	if t := d.TierAt(n); t != nil {
		return t
	}
	return &Tier{Num: n, Attempt: 1, Status: event.WordPending}
}

func (d *Derived) deriveStatus() {
	said := event.WordNone
	if d.Batch != nil {
		said = d.Batch.Words.Shown().Word
	}
	switch {
	case said.Rank() == event.RankTerminal:
		d.Status = said
	case d.derivedEnd():
		d.Status = event.WordCompleted
		if d.FailedDocs > 0 {
			d.Status = event.WordCompletedWithErrors
		}
	case d.settledNow():
		d.Status = event.Word(d.State.Settled.V)
		d.SettlingDone = true
	case said.Rank() == event.RankProcessing || d.works():
		d.Status = event.WordProcessing
	case said == event.WordDraft:
		d.Status = event.WordDraft
	case said != event.WordNone || len(d.Tiers) > 0:
		d.Status = event.WordPending
	}
	d.HasFailures = d.HasFailures || d.FailedTiers > 0 || d.FailedDocs > 0 ||
		d.Status == event.WordFailed || d.Status == event.WordCompletedWithErrors
}

// derivedEnd reports that all tiers completed although the batch's end wasn't reported.
func (d *Derived) derivedEnd() bool {
	if !d.State.TotalTiers.Set || len(d.Tiers) < d.TotalTiers {
		return false
	}
	for _, t := range d.Tiers {
		if t.Status != event.WordCompleted && t.Status != event.WordSkipped || !t.saidEnd {
			return false
		}
	}
	return d.Attempt <= 1 || d.Tiers[len(d.Tiers)-1].End >= d.firstWord.Time
}

// settledNow reports that the batch was settled by the detector, and that no event since contradicts it.
func (d *Derived) settledNow() bool {
	s := d.State.Settled
	return s.Set && !d.State.StatusSaid && d.liveJobs == 0 && len(d.Open) == 0 && d.State.LastWork <= s.At.Time
}

// works reports whether anything shows that the batch is being processed; in a later attempt only events since its begin count.
func (d *Derived) works() bool {
	later := d.Attempt > 1
	for _, t := range d.Tiers {
		if t.ever && (!later || t.last >= d.firstWord.Time) {
			return true
		}
	}
	for _, j := range d.Jobs {
		if !later || j.State.Last >= d.firstWord.Time {
			return true
		}
	}
	return false
}

// deriveSpan finds when the batch started and ended.
func (d *Derived) deriveSpan() {
	terminal := d.Status.Rank() == event.RankTerminal
	if a := d.Batch; a != nil {
		if a.Started.T != 0 {
			d.Start = a.Started.T
		} else {
			d.Start = a.Words.FirstOf(event.RankProcessing).Time
		}
		if terminal {
			switch shown := a.Words.Shown(); {
			case a.Completed.Set:
				d.End = int64(a.Completed.V)
			case shown.Word == d.Status:
				d.End = shown.First.Time
			}
		}
	}
	var start, end int64
	for _, t := range d.Tiers {
		if d.Attempt > 1 && !t.begunSince(d.firstWord.Time) {
			continue
		}
		if t.Start != 0 && (start == 0 || t.Start < start) {
			start = t.Start
		}
		end = max(end, t.End)
	}
	if d.Start == 0 {
		d.Start = start
	}
	if terminal && d.End == 0 {
		d.End = end
		if d.End == 0 && d.SettlingDone {
			d.End = d.State.Settled.At.Time
		}
	}
}

// endBy is the stamp of the event from which the batch's end follows.
func (d *Derived) endBy() crdt.Stamp {
	if a := d.Batch; a != nil && d.Finished() {
		if a.Completed.Set {
			return a.Completed.At
		}
		if shown := a.Words.Shown(); shown.Word == d.Status {
			return shown.First
		}
	}
	if d.SettlingDone {
		return d.State.Settled.At
	}
	for _, t := range d.Tiers {
		if t.End == d.End && t.End != 0 {
			return t.EndBy()
		}
	}
	return crdt.Stamp{}
}

func (t *Tier) begunSince(at int64) bool {
	if t.Start != 0 {
		return t.Start >= at
	}
	return t.first.Time >= at
}
