package view

import (
	"cmp"
	"math"
	"slices"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Lives are the jobs. Only some sources name a job's cluster and run. What the others report of its submission id is joined to the
// job that it fits; if it fits several, each report goes by its time to the latest of them that had begun.
func (s *State) Lives() []*Job {
	out := s.Jobs
	for i := 0; i < len(out); {
		n := 1
		for i+n < len(out) && out[i+n].ID == out[i].ID {
			n++
		}
		if n > 1 {
			if lives := joined(out[i : i+n]); len(lives) < n {
				out = slices.Concat(out[:i], lives, out[i+n:])
				n = len(lives)
			}
		}
		i += n
	}
	return out
}

// joined are the lives of one submission id.
func joined(of []*Job) (lives []*Job) {
	var vague []*Job
	for _, j := range of {
		if (j.Cluster == "" || j.Run == "") && slices.ContainsFunc(of, func(o *Job) bool { return j.fits(o.JobKey) }) {
			vague = append(vague, j)
		} else {
			lives = append(lives, j)
		}
	}
	if len(vague) == 0 {
		return lives
	}
	order := slices.Clone(lives)
	slices.SortStableFunc(order, func(a, b *Job) int { return cmp.Compare(a.began(), b.began()) })
	for _, v := range vague {
		var fits []*Job
		for _, j := range order {
			if v.fits(j.JobKey) {
				fits = append(fits, j)
			}
		}
		for k, j := range fits {
			part := period{math.MinInt64, math.MaxInt64, math.MinInt64, math.MaxInt64}
			if k > 0 {
				part.from, part.pendingFrom = j.began(), resubmitted(fits[k-1], j)
			}
			if k+1 < len(fits) {
				part.to, part.pendingTo = fits[k+1].began(), resubmitted(j, fits[k+1])
			}
			i := slices.IndexFunc(lives, func(l *Job) bool { return l.JobKey == j.JobKey })
			if lives[i] == j {
				lives[i] = &Job{JobKey: j.JobKey}
				whole := walker{joining: true}
				whole.job(lives[i], j)
			}
			w := walker{joining: true, only: &part}
			w.job(lives[i], v)
		}
	}
	return lives
}

// fits reports that the key is that of another job with less said of it.
func (k JobKey) fits(o JobKey) bool {
	return k != o && k.ID == o.ID && (k.Cluster == "" || k.Cluster == o.Cluster) && (k.Run == "" || k.Run == o.Run)
}

// began is when a job was submitted, or first heard of if that was earlier.
func (j *Job) began() int64 {
	if j.Submitted.T != 0 {
		return min(j.Submitted.T, j.First.Time)
	}
	return j.First.Time
}

// resubmitted is the time from which a PENDING belongs to the later of two jobs: who submits may say so before anybody sees the job.
func resubmitted(before, j *Job) int64 {
	at := j.began()
	if end := before.Words.FirstOf(event.RankTerminal); !end.IsZero() {
		at = min(at, end.Time+1)
	}
	return at
}

// period limits what is joined to reports of a time; PENDING has its own. Without a period everything is joined.
type period struct{ from, to, pendingFrom, pendingTo int64 }

func (p *period) has(at int64) bool { return p == nil || p.from <= at && at < p.to }

func (p *period) hasWord(word event.Word, at int64) bool {
	if p != nil && word.Rank() == event.RankPending {
		return p.pendingFrom <= at && at < p.pendingTo
	}
	return p.has(at)
}
