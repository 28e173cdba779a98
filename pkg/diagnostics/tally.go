package diagnostics

import (
	"cmp"
	"slices"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// tally is what was counted of a tier attempt: of the tier as a whole, or by one worker of its own part.
type tally struct {
	processed, failed crdt.Counter
	counts            [event.CountKinds]crdt.Counter
	series            crdt.Series // of processed
}

// workerTally is cumulative over a worker's life within the attempt, whatever process plays it: a task that
// is tried again under its key starts again from 0, and the maximum keeps what the first try had counted.
type workerTally struct {
	key string
	tally
}

type errorWorker struct {
	key      string
	affected int64
}

// maxWorkerPoints bounds the points of all workers' series of a tier attempt together.
const maxWorkerPoints = 16_384

// workerPoints is how many points each of n workers' series may have. It never rises with n, so that what was
// coarsened on the way is no coarser than the end asks for: the order of arrival doesn't show.
func workerPoints(n int) int {
	return max(2, min(maxSeriesPoints, maxWorkerPoints/max(1, n)))
}

func (a *tierAttempt) worker(key string) (*workerTally, bool) {
	n := len(a.workers)
	w, made := crdt.Smallest(&a.workers, MaxWorkers, &a.workersTruncated, func(w *workerTally) int { return strings.Compare(w.key, key) },
		func() *workerTally { return &workerTally{key: strings.Clone(key)} })
	if limit := workerPoints(len(a.workers)); limit < workerPoints(n) {
		for _, w := range a.workers {
			w.series.Fit(limit)
		}
	}
	return w, made
}

// counters folds the counters of a tier event.
func (f *folder) counters(a *tierAttempt, t *event.TierFacts) {
	said := t.Processed.Set || t.Failed.Set
	for _, c := range t.Counts {
		said = said || c.Set
	}
	if !said {
		return
	}
	to, limit := &a.whole, maxSeriesPoints
	if t.Worker != "" {
		w, made := a.worker(t.Worker)
		f.did(made)
		if w == nil {
			return
		}
		to, limit = &w.tally, workerPoints(len(a.workers))
	}
	if t.Processed.Set {
		f.did(to.processed.Say(t.Processed.V, f.at))
		f.did(to.series.Add(f.at.Time, t.Processed.V, limit))
	}
	if t.Failed.Set {
		f.did(to.failed.Say(t.Failed.V, f.at))
	}
	for i, c := range t.Counts {
		if c.Set {
			f.did(to.counts[i].Say(c.V, f.at))
		}
	}
}

func (t *tally) join(o *tally, limit int) {
	t.processed.Join(o.processed)
	t.failed.Join(o.failed)
	for i := range t.counts {
		t.counts[i].Join(o.counts[i])
	}
	t.series.Join(o.series, limit)
}

// progress is the latest of the counters' progress marks.
func (t *tally) progress() crdt.Stamp {
	s := t.processed.Progress()
	crdt.Later(&s, t.failed.Progress())
	for i := range t.counts {
		crdt.Later(&s, t.counts[i].Progress())
	}
	return s
}

// tally is what the attempt itself counted: of each counter the greater of what was said of the whole and of
// the sum over the workers, so that an orchestrator and the workers it starts may both count the same documents.
func (a *tierAttempt) tally() *tally {
	if len(a.workers) == 0 {
		return &a.whole
	}
	sum := a.whole
	greater(&sum.failed, a.workers, func(t *tally) *crdt.Counter { return &t.failed })
	for i := range sum.counts {
		greater(&sum.counts[i], a.workers, func(t *tally) *crdt.Counter { return &t.counts[i] })
	}
	if greater(&sum.processed, a.workers, func(t *tally) *crdt.Counter { return &t.processed }) {
		sum.series = sumSeries(a.workers)
	}
	return &sum
}

// greater puts the sum of a counter over the workers in whole where it is the greater, with the latest of
// their progress marks.
func greater(whole *crdt.Counter, workers []*workerTally, of func(*tally) *crdt.Counter) bool {
	var sum crdt.Counter
	for _, w := range workers {
		m := of(&w.tally)
		if !m.Set {
			continue
		}
		sum.Set = true
		if m.N > 0 && sum.N == 0 { // a zero said later is no progress
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
func sumSeries(workers []*workerTally) crdt.Series {
	var out crdt.Series
	for _, w := range workers {
		out.Shift = max(out.Shift, w.series.Shift)
	}
	shift := out.Shift
	var rises []crdt.Point
	for _, w := range workers {
		high := int64(0)
		for _, p := range w.series.Points {
			if p.N > high {
				rises = append(rises, crdt.Point{Bucket: p.Bucket >> (shift - w.series.Shift), N: p.N - high})
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

// affects folds how many documents the error affected, said of the whole or by one worker.
func (e *errorState) affects(worker string, n int64, truncated *bool) bool {
	if worker == "" {
		if n <= e.affected {
			return false
		}
		e.affected = n
		return true
	}
	if n == 0 {
		return false
	}
	w, made := crdt.Smallest(&e.workers, MaxErrorWorkers, truncated, func(w *errorWorker) int { return strings.Compare(w.key, worker) },
		func() *errorWorker { return &errorWorker{key: strings.Clone(worker)} })
	if w == nil || n <= w.affected {
		return made
	}
	w.affected = n
	return true
}

// total is how many documents the error affected, as tierAttempt.tally counts.
func (e *errorState) total() int64 {
	sum := int64(0)
	for _, w := range e.workers {
		sum = event.Plus(sum, w.affected)
	}
	return max(e.affected, sum)
}
