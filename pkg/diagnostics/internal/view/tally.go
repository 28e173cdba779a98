package view

import (
	"cmp"
	"slices"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Tally is what was counted of a tier attempt: of the tier as a whole, or by one worker of its own part.
type Tally struct {
	Processed, Failed crdt.Counter
	Counts            [event.CountKinds]crdt.Counter
	Series            crdt.Series // of processed
}

// WorkerTally is cumulative over a worker's life within the attempt, whatever process plays it: a task that
// is tried again under its key starts again from 0, and the maximum keeps what the first try had counted.
type WorkerTally struct {
	Key    string
	Stamps int32
	Tally
}

// ErrorWorker is how many documents an error affected, reported by one worker.
type ErrorWorker struct {
	Key      string
	Affected int64
}

// maxWorkerPoints bounds the points of all workers' series of a tier attempt together.
const maxWorkerPoints = 16_384

// workerPoints is how many points each of n workers' series may have. It never rises with n, so that what was
// coarsened on the way is no coarser than the end asks for: the order of arrival doesn't show.
func workerPoints(n int) int {
	return max(2, min(maxSeriesPoints, maxWorkerPoints/max(1, n)))
}

// points is workerPoints of an attempt.
func (t *Tier) points(a *TierAttempt) int {
	if int64(a.Num) < t.CoarseBelow {
		return 2
	}
	return workerPoints(len(a.Workers))
}

func (t *Tier) worker(a *TierAttempt, key string) (*WorkerTally, bool) {
	before := t.points(a)
	w, changed := place(t, a, &t.WorkersCut, MaxWorkers, crdt.Name(key), workerList, workerKey,
		func() *WorkerTally { return &WorkerTally{Key: strings.Clone(key)} })
	if changed {
		t.coarsenCut()
	}
	if limit := t.points(a); limit < before {
		for _, w := range a.Workers {
			w.Series.Fit(limit)
		}
	}
	return w, changed
}

// counters folds the counters of a tier event.
func (f *folder) counters(a *TierAttempt, t *event.TierFacts) {
	said := t.Processed.Set || t.Failed.Set
	for _, c := range t.Counts {
		said = said || c.Set
	}
	if !said {
		return
	}
	if t.Worker == "" {
		f.tally(&a.Whole, t, maxSeriesPoints)
		return
	}
	own := f.grown
	if w, made := f.tier.worker(a, t.Worker); w != nil {
		f.entry(&w.Stamps, made)
		if made {
			f.grown += len(t.Worker) + weightPoint*maxSeriesPoints
			f.begins(kindWorkers)
		}
		f.tally(&w.Tally, t, f.tier.points(a))
	} else {
		f.did(made)
	}
	f.apart += f.grown - own
}

func (f *folder) tally(to *Tally, t *event.TierFacts, limit int) {
	if t.Processed.Set {
		f.count(&to.Processed, t.Processed.V)
		f.point(&to.Series, t.Processed.V, limit)
	}
	if t.Failed.Set {
		f.count(&to.Failed, t.Failed.V)
	}
	for i, c := range t.Counts {
		if c.Set {
			f.count(&to.Counts[i], c.V)
		}
	}
}

// Progress is the latest of the counters' progress marks.
func (t *Tally) Progress() crdt.Stamp {
	s := t.Processed.Progress()
	crdt.Later(&s, t.Failed.Progress())
	for i := range t.Counts {
		crdt.Later(&s, t.Counts[i].Progress())
	}
	return s
}

// Tally is what the attempt itself counted: of each counter the greater of what was said of the whole and of
// the sum over the workers, so that an orchestrator and the workers it starts may both count the same documents.
func (a *TierAttempt) Tally() *Tally {
	if len(a.Workers) == 0 {
		return &a.Whole
	}
	sum := a.Whole
	greater(&sum.Failed, a.Workers, func(t *Tally) *crdt.Counter { return &t.Failed })
	for i := range sum.Counts {
		greater(&sum.Counts[i], a.Workers, func(t *Tally) *crdt.Counter { return &t.Counts[i] })
	}
	if greater(&sum.Processed, a.Workers, func(t *Tally) *crdt.Counter { return &t.Processed }) {
		sum.Series = sumSeries(a.Workers)
	}
	return &sum
}

// greater puts the sum of a counter over the workers in whole where it is the greater, with the latest of
// their progress marks.
func greater(whole *crdt.Counter, workers []*WorkerTally, of func(*Tally) *crdt.Counter) bool {
	var sum crdt.Counter
	for _, w := range workers {
		m := of(&w.Tally)
		if !m.Set {
			continue
		}
		sum.Set = true
		if m.N > 0 && sum.N == 0 { // a later zero is no progress
			sum.At = m.At
		}
		if m.N > 0 || sum.N == 0 {
			crdt.Later(&sum.At, m.At)
		}
		sum.N = event.Plus(sum.N, m.N)
	}
	if !sum.Set || whole.Set && whole.N >= sum.N {
		return false
	}
	*whole = sum
	return true
}

// sumSeries adds up the workers' series: at the end of each bucket in which a worker rose, what all had counted.
func sumSeries(workers []*WorkerTally) crdt.Series {
	var out crdt.Series
	for _, w := range workers {
		out.Shift = max(out.Shift, w.Series.Shift)
	}
	shift := out.Shift
	var rises []crdt.Point
	for _, w := range workers {
		high := int64(0)
		for _, p := range w.Series.Points {
			if p.N > high {
				rises = append(rises, crdt.Point{Bucket: p.Bucket >> (shift - w.Series.Shift), N: p.N - high})
				high = p.N
			}
		}
	}
	slices.SortFunc(rises, func(a, b crdt.Point) int { return cmp.Compare(a.Bucket, b.Bucket) })
	sum := int64(0)
	for _, r := range rises {
		sum = event.Plus(sum, r.N)
		out.Put(r.Bucket>>(out.Shift-shift), sum, maxSeriesPoints)
	}
	return out
}

// Total is how many documents the error affected, as tierAttempt.tally counts.
func (e *ErrorState) Total() int64 {
	sum := int64(0)
	for _, w := range e.Workers {
		sum = event.Plus(sum, w.Affected)
	}
	return max(e.Affected, sum)
}

// worker is what one worker reported of the error. The length of the longest key of all is recorded.
func (e *ErrorState) worker(key string) (x *ErrorWorker, changed bool) {
	if n := int32(len(key)); n > e.WorkersMost {
		e.WorkersMost, changed = n, true
	}
	x, made := crdt.Smallest(&e.Workers, &e.WorkersCut, MaxErrorWorkers, crdt.Name(key), errorWorkerKey,
		func() *ErrorWorker { return &ErrorWorker{Key: strings.Clone(key)} })
	return x, made || changed
}

// Counted reports that anything was counted; 0 is a count.
func (t *Tally) Counted() bool {
	if t.Processed.Set || t.Failed.Set {
		return true
	}
	for i := range t.Counts {
		if t.Counts[i].Set {
			return true
		}
	}
	return false
}
