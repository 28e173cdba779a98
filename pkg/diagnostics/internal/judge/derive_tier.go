package judge

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

func sortTiers(tiers []*Tier) {
	slices.SortFunc(tiers, func(a, b *Tier) int { return cmp.Compare(a.Num, b.Num) })
}

func (t *Tier) derive(canceled bool) {
	t.deriveProgress()
	t.deriveStatus(canceled)
	t.begun = len(t.Jobs) > 0 || !t.Moved.IsZero() || t.Status != event.WordPending || t.Attempt > 1
	t.ever = !t.Moved.IsZero() || t.Status != event.WordPending || t.everBegun()
	t.deriveSpan()
}

func (t *Tier) deriveProgress() {
	if a := t.AttemptState; a != nil {
		t.Own = a.Tally()
		t.Processed, t.Failed = t.Own.Processed.N, t.Own.Failed.N
		crdt.Later(&t.Mark, a.Whole.Progress())
		for _, w := range a.Workers {
			crdt.Later(&t.Mark, w.Progress())
		}
		if a.Total.Set {
			t.Total, t.TotalKnown = int64(a.Total.V), true
		}
		if a.GPU.Set {
			t.GPU = event.Opt[bool]{V: bool(a.GPU.V), Set: true}
		}
	}
	if t.State != nil && !t.TotalKnown && t.State.PlanTotal.Set {
		t.Total, t.TotalKnown = int64(t.State.PlanTotal.V), true
	}
	if t.State != nil && !t.GPU.Set && t.State.PlanGPU.Set {
		t.GPU = event.Opt[bool]{V: bool(t.State.PlanGPU.V), Set: true}
	}
	t.Moved = t.Mark
	own := t.Processed > 0
	var sum int64
	jobs, all := 0, true
	for _, j := range t.Jobs {
		if j.Superseded {
			continue
		}
		jobs++
		crdt.Later(&t.Moved, j.State.Processed.Progress())
		if !own {
			t.Processed = event.Plus(t.Processed, j.State.Processed.N)
		}
		sum = event.Plus(sum, int64(j.State.Total.V))
		all = all && j.State.Total.Set
	}
	if !t.TotalKnown && jobs > 0 && all {
		t.Total, t.TotalKnown = sum, true
	}
	if !t.Counted() {
		crdt.Later(&t.Moved, t.stageMark())
	}
}

// Counted reports that documents were ever counted in the tier's attempt; 0 is a count.
func (t *Tier) Counted() bool {
	if a := t.AttemptState; a != nil {
		if a.Whole.Counted() {
			return true
		}
		for _, w := range a.Workers {
			if w.Counted() {
				return true
			}
		}
	}
	return slices.ContainsFunc(t.Jobs, func(j *Job) bool { return j.State.Processed.Set })
}

// stageMark is the time of the latest progress of a stage: the sum of its workers' counts has to exceed the smallest positive
// count ever reported, since the existence of a stage is no progress.
func (t *Tier) stageMark() (mark crdt.Stamp) {
	if t.AttemptState == nil {
		return mark
	}
	type key struct{ stage, component string }
	type sum struct {
		n, least int64
		mark     crdt.Stamp
	}
	sums := map[key]sum{}
	for _, s := range t.AttemptState.Stages {
		k := key{s.Key.Stage, s.Key.Component}
		o := sums[k]
		o.n = event.Plus(o.n, s.Count.N)
		if s.Least > 0 && (o.least == 0 || s.Least < o.least) {
			o.least = s.Least
		}
		crdt.Later(&o.mark, s.Count.Progress())
		sums[k] = o
	}
	for _, o := range sums {
		if o.n > o.least {
			crdt.Later(&mark, o.mark)
		}
	}
	return mark
}

// everBegun reports that an attempt had a status beyond PENDING, or counted anything.
func (t *Tier) everBegun() bool {
	return t.State != nil && slices.ContainsFunc(t.State.Attempts, func(a *view.TierAttempt) bool {
		return a.Words.Shown().Word.Rank() > event.RankPending || !a.Tally().Progress().IsZero()
	})
}

func (t *Tier) deriveStatus(canceled bool) {
	worked := !t.Moved.IsZero()
	live, failed, standing, succeeded := false, false, 0, 0
	for _, j := range t.Jobs {
		worked = worked || j.Status.Rank() >= event.RankProcessing || j.State.Processed.N > 0
		if j.Superseded {
			continue
		}
		standing++
		live = live || j.Live()
		switch j.Status {
		case event.WordFailed:
			failed = true
		case event.WordStopped:
			failed = failed || !canceled
		case event.WordSucceeded:
			succeeded++
		}
	}
	var said view.WordMark
	if t.AttemptState != nil {
		said = t.AttemptState.Words.Shown()
	}
	switch {
	case said.Word.Rank() == event.RankTerminal:
		t.Status, t.saidEnd = said.Word, true
	case said.Word.Rank() == event.RankProcessing:
		t.Status = event.WordProcessing
	case said.Word.Rank() == event.RankPending && worked:
		t.Status = event.WordProcessing
	case said.Word.Rank() == event.RankPending:
		t.Status = event.WordPending
	case failed && !live:
		t.Status = event.WordFailed
	case standing > 0 && succeeded == standing:
		t.Status = event.WordCompleted
	case worked:
		t.Status = event.WordProcessing
	default:
		t.Status = event.WordPending
	}
}

func (t *Tier) deriveSpan() {
	if t.AttemptState != nil {
		switch first := t.AttemptState.Words.FirstOf(event.RankProcessing); {
		case t.AttemptState.Started.T != 0:
			t.Start, t.startBy = t.AttemptState.Started.T, t.AttemptState.Started.At
		case !first.IsZero():
			t.Start, t.startBy = first.Time, first
		}
	}
	var jobsEnd int64
	fromJobs := t.Start == 0
	for _, j := range t.Jobs {
		if fromJobs && j.Start != 0 && (t.Start == 0 || j.Start < t.Start) {
			t.Start, t.startBy = j.Start, j.StartBy
		}
		jobsEnd = max(jobsEnd, j.End)
	}
	if t.Status.Rank() != event.RankTerminal {
		return
	}
	switch {
	case t.AttemptState != nil && t.AttemptState.Completed.Set:
		t.End = int64(t.AttemptState.Completed.V)
	case t.saidEnd:
		t.End = t.AttemptState.Words.Shown().First.Time
	default:
		t.End = jobsEnd
	}
}

// Earlier are the attempts before the one that is shown, each with its begin and its end as said, 0 where unknown.
func (t *Tier) Earlier() iter.Seq2[*view.TierAttempt, [2]int64] {
	return func(yield func(*view.TierAttempt, [2]int64) bool) {
		if t.State == nil {
			return
		}
		for _, a := range t.State.Attempts {
			if a.Num >= t.Attempt {
				return
			}
			begin := cmp.Or(a.Started.T, a.Words.FirstOf(event.RankProcessing).Time)
			if !yield(a, [2]int64{begin, cmp.Or(int64(a.Completed.V), a.Words.FirstOf(event.RankTerminal).Time)}) {
				return
			}
		}
	}
}

// Deciding is the job that decides the tier's state: the worst of those that aren't superseded, then
// the earliest submitted, then the smallest id.
func (t *Tier) Deciding() *Job {
	var best *Job
	for _, j := range t.Jobs {
		if j.Superseded {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(severity(j.Status), severity(best.Status)),
			cmp.Compare(j.Submitted, best.Submitted), strings.Compare(j.State.ID, best.State.ID)) < 0 {
			best = j
		}
	}
	return best
}

// severity orders the statuses of jobs, the worst first.
func severity(w event.Word) int {
	switch w {
	case event.WordStopped:
		return 1
	case event.WordPending:
		return 2
	case event.WordRunning:
		return 3
	case event.WordSucceeded:
		return 4
	default:
		return 0
	}
}

// Lacks reports that the tier has made no progress and waits for resources without any sign of when they will be there.
func (t *Tier) Lacks() bool {
	return t.Moved.IsZero() && slices.ContainsFunc(t.Jobs, func(j *Job) bool {
		w, _, ok := j.WaitingOn()
		return ok && j.Live() && w.Kind == "resources" && w.NodesPending.V == 0
	})
}

// Took is how long a tier that has ended took; 0 if unknown.
func (t *Tier) Took() int64 {
	if t.Start == 0 || t.End == 0 {
		return 0
	}
	return max(0, t.End-t.Start)
}

// Queued is the time from the first submission of a tier's job to the first start of one.
func (t *Tier) Queued() int64 {
	submitted, started := int64(math.MaxInt64), int64(math.MaxInt64)
	for _, j := range t.Jobs {
		submitted = min(submitted, j.Submitted)
		if j.Start != 0 {
			started = min(started, j.Start)
		}
	}
	if started == math.MaxInt64 {
		return 0
	}
	return max(0, started-submitted)
}
