package diagnostics

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

func sortTiers(tiers []*derivedTier) {
	slices.SortFunc(tiers, func(a, b *derivedTier) int { return cmp.Compare(a.num, b.num) })
}

func (t *derivedTier) derive(canceled bool) {
	t.deriveProgress()
	t.deriveStatus(canceled)
	t.begun = len(t.jobs) > 0 || !t.moved.IsZero() || t.status != event.WordPending || t.attempt > 1
	t.deriveSpan()
}

func (t *derivedTier) deriveProgress() {
	if a := t.a; a != nil {
		t.own = a.Tally()
		t.processed, t.failed = t.own.Processed.N, t.own.Failed.N
		crdt.Later(&t.mark, a.Whole.Progress())
		for _, w := range a.Workers {
			crdt.Later(&t.mark, w.Progress())
		}
		for _, s := range a.Stages {
			crdt.Later(&t.mark, s.Count.Progress())
		}
		if a.Total.Set {
			t.total, t.totalKnown = int64(a.Total.V), true
		}
		if a.GPU.Set {
			t.gpu = event.Opt[bool]{V: bool(a.GPU.V), Set: true}
		}
	}
	if t.t != nil && !t.totalKnown && t.t.PlanTotal.Set {
		t.total, t.totalKnown = int64(t.t.PlanTotal.V), true
	}
	if t.t != nil && !t.gpu.Set && t.t.PlanGPU.Set {
		t.gpu = event.Opt[bool]{V: bool(t.t.PlanGPU.V), Set: true}
	}
	t.moved = t.mark
	own := t.processed > 0
	var sum int64
	jobs, all := 0, true
	for _, j := range t.jobs {
		if j.superseded {
			continue
		}
		jobs++
		crdt.Later(&t.moved, j.j.Processed.Progress())
		if !own {
			t.processed = event.Plus(t.processed, j.j.Processed.N)
		}
		sum = event.Plus(sum, int64(j.j.Total.V))
		all = all && j.j.Total.Set
	}
	if !t.totalKnown && jobs > 0 && all {
		t.total, t.totalKnown = sum, true
	}
}

func (t *derivedTier) deriveStatus(canceled bool) {
	worked := !t.moved.IsZero()
	live, failed, standing, succeeded := false, false, 0, 0
	for _, j := range t.jobs {
		worked = worked || j.status.Rank() >= event.RankProcessing || j.j.Processed.N > 0
		if j.superseded {
			continue
		}
		standing++
		live = live || j.live()
		switch j.status {
		case event.WordFailed:
			failed = true
		case event.WordStopped:
			failed = failed || !canceled
		case event.WordSucceeded:
			succeeded++
		}
	}
	var said view.WordMark
	if t.a != nil {
		said = t.a.Words.Shown()
	}
	switch {
	case said.Word.Rank() == event.RankTerminal:
		t.status, t.saidEnd = said.Word, true
	case said.Word.Rank() == event.RankProcessing:
		t.status = event.WordProcessing
	case said.Word.Rank() == event.RankPending && worked:
		t.status = event.WordProcessing
	case said.Word.Rank() == event.RankPending:
		t.status = event.WordPending
	case failed && !live:
		t.status = event.WordFailed
	case standing > 0 && succeeded == standing:
		t.status = event.WordCompleted
	case worked:
		t.status = event.WordProcessing
	default:
		t.status = event.WordPending
	}
}

func (t *derivedTier) deriveSpan() {
	if t.a != nil {
		switch first := t.a.Words.FirstOf(event.RankProcessing); {
		case t.a.Started.T != 0:
			t.start, t.startBy = t.a.Started.T, t.a.Started.At
		case !first.IsZero():
			t.start, t.startBy = first.Time, first
		}
	}
	var jobsEnd int64
	fromJobs := t.start == 0
	for _, j := range t.jobs {
		if fromJobs && j.start != 0 && (t.start == 0 || j.start < t.start) {
			t.start, t.startBy = j.start, j.startBy
		}
		jobsEnd = max(jobsEnd, j.end)
	}
	if t.status.Rank() != event.RankTerminal {
		return
	}
	switch {
	case t.a != nil && t.a.Completed.Set:
		t.end = int64(t.a.Completed.V)
	case t.saidEnd:
		t.end = t.a.Words.Shown().First.Time
	default:
		t.end = jobsEnd
	}
}

// earlier are the attempts before the one that is shown, each with its begin and its end as said, 0 where unknown.
func (t *derivedTier) earlier() iter.Seq2[*view.TierAttempt, [2]int64] {
	return func(yield func(*view.TierAttempt, [2]int64) bool) {
		if t.t == nil {
			return
		}
		for _, a := range t.t.Attempts {
			if a.Num >= t.attempt {
				return
			}
			begin := cmp.Or(a.Started.T, a.Words.FirstOf(event.RankProcessing).Time)
			if !yield(a, [2]int64{begin, cmp.Or(int64(a.Completed.V), a.Words.FirstOf(event.RankTerminal).Time)}) {
				return
			}
		}
	}
}

// deciding is the job that decides the tier's state: the worst of those that aren't superseded, then
// the earliest submitted, then the smallest id.
func (t *derivedTier) deciding() *derivedJob {
	severity := map[event.Word]int{event.WordFailed: 0, event.WordStopped: 1, event.WordPending: 2, event.WordRunning: 3, event.WordSucceeded: 4}
	var best *derivedJob
	for _, j := range t.jobs {
		if j.superseded {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(severity[j.status], severity[best.status]),
			cmp.Compare(j.submitted, best.submitted), strings.Compare(j.j.ID, best.j.ID)) < 0 {
			best = j
		}
	}
	return best
}

// lacks reports that the tier has not begun to move and waits for resources that nobody is bringing: nothing says when they come.
func (t *derivedTier) lacks() bool {
	return t.moved.IsZero() && slices.ContainsFunc(t.jobs, func(j *derivedJob) bool {
		w, _, ok := j.waitingOn()
		return ok && j.live() && w.Kind == "resources" && w.NodesPending.V == 0
	})
}

// took is how long a tier that is over took; 0 where that isn't known.
func (t *derivedTier) took() int64 {
	if t.start == 0 || t.end == 0 {
		return 0
	}
	return max(0, t.end-t.start)
}

// queued is the time from the first submission of a tier's job to the first start of one.
func (t *derivedTier) queued() int64 {
	submitted, started := int64(math.MaxInt64), int64(math.MaxInt64)
	for _, j := range t.jobs {
		submitted = min(submitted, j.submitted)
		if j.start != 0 {
			started = min(started, j.start)
		}
	}
	if started == math.MaxInt64 {
		return 0
	}
	return max(0, started-submitted)
}

// firstPoint is the begin of the first time bucket in which the tier had processed something.
func (t *derivedTier) firstPoint() int64 {
	first := int64(0)
	look := func(s crdt.Series) {
		for _, p := range s.Points {
			if at := p.Bucket << s.Shift * 1e9; p.N > 0 && (first == 0 || at < first) {
				first = at
			}
		}
	}
	if t.own != nil {
		look(t.own.Series)
	}
	for _, j := range t.jobs {
		look(j.j.Series)
	}
	return first
}
