package viewstore

import (
	"fmt"
	"time"
)

// Rebuild is how far a version's views have been folded from the log.
type Rebuild struct {
	Partitions, Complete int
	Folded, Total        float64       // events of the log, as an average over the partitions
	Left                 time.Duration // until everything is folded, at the present rate; 0 if not known yet
	Rate                 float64       // events per second; 0 if not known yet
}

// RebuildOf compares fences with a log that has the sequences from first to last. Both are 0 if the log never had
// any.
func RebuildOf(fences []*Fence, first, last uint64) Rebuild {
	r := Rebuild{Partitions: len(fences)}
	first = max(first, 1)
	if last >= first {
		r.Total = float64(last - first + 1)
	}
	for _, f := range fences {
		switch {
		case f == nil:
		case f.Complete:
			r.Complete++
			r.Folded += r.Total
		case f.Cursor >= first:
			r.Folded += min(r.Total, float64(f.Cursor-first+1))
		}
	}
	if r.Partitions > 0 {
		r.Folded /= float64(r.Partitions)
	}
	return r
}

// Since is r with its rate since an earlier state of the same rebuild.
func (r Rebuild) Since(start Rebuild, took time.Duration) Rebuild {
	if done := r.Folded - start.Folded; done > 0 && took > 0 {
		r.Rate = done / took.Seconds()
		r.Left = time.Duration((r.Total - r.Folded) / r.Rate * float64(time.Second))
	}
	return r
}

// Done reports whether every partition is complete.
func (r Rebuild) Done() bool { return r.Complete == r.Partitions }

// Percent of the log that is folded, rounded down: 100 means all of it.
func (r Rebuild) Percent() int {
	if r.Total == 0 || r.Folded >= r.Total {
		return 100
	}
	return int(100 * r.Folded / r.Total)
}

func (r Rebuild) String() string {
	text := fmt.Sprintf("%d of %d partitions complete, %d %% of the log folded", r.Complete, r.Partitions, r.Percent())
	if r.Rate > 0 && !r.Done() {
		text += fmt.Sprintf(", about %v left", max(r.Left.Round(time.Second), time.Second))
	}
	return text
}
