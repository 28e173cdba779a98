package judge

import (
	"slices"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Job is a Ray job, and what follows for it.
type Job struct {
	State         *view.Job
	Tier, Attempt int32
	Status        event.Word
	Submitted     int64
	submittedBy   crdt.Stamp
	Start, End    int64
	StartBy       crdt.Stamp
	Superseded    bool
}

// Live reports whether the job may still do something: it hasn't ended, and no other job has replaced it.
func (j *Job) Live() bool { return !j.Superseded && j.Status.Rank() < event.RankTerminal }

func (d *Derived) deriveJobs() {
	lives := d.State.Lives()
	d.Jobs = make([]*Job, len(lives))
	block := make([]Job, len(lives))
	for i, j := range lives {
		dj := &block[i]
		d.Jobs[i] = dj
		shown := j.Words.Shown()
		*dj = Job{State: j, Tier: int32(j.Tier.V), Attempt: j.Attempt, Status: shown.Word}
		if at := j.Started; at.T != 0 {
			dj.Start, dj.StartBy = at.T, at.At
		} else if at := j.Words.FirstOf(event.RankProcessing); !at.IsZero() {
			dj.Start, dj.StartBy = at.Time, at
		}
		switch pending := j.Words.FirstOf(event.RankPending); {
		case j.Submitted.T != 0:
			dj.Submitted, dj.submittedBy = j.Submitted.T, j.Submitted.At
		case !pending.IsZero():
			dj.Submitted, dj.submittedBy = pending.Time, pending
		default:
			dj.Submitted, dj.submittedBy = j.First.Time, j.First
			if dj.Start != 0 && dj.Start < dj.Submitted {
				dj.Submitted, dj.submittedBy = dj.Start, dj.StartBy
			}
		}
		if shown.Word.Rank() == event.RankTerminal {
			dj.End = shown.First.Time
			if j.Ended.Set {
				dj.End = int64(j.Ended.V)
			}
		}
	}
}

// supersedeSlack is how much earlier than a job's end the one that replaces it may have been submitted.
const supersedeSlack = int64(60 * time.Second)

// supersede marks the failed and stopped jobs that were replaced by a later one of the same tier,
// attempt, extractor and collections.
func (d *Derived) supersede() {
	type group struct {
		tier, attempt          int32
		extractor, collections string
	}
	of := func(j *Job) group {
		return group{j.Tier, j.Attempt, string(j.State.Extractor.V), string(j.State.Collections.V)}
	}
	ended := func(j *Job) bool { return j.Status == event.WordFailed || j.Status == event.WordStopped }
	if len(d.Jobs) < 2 || !slices.ContainsFunc(d.Jobs, ended) {
		return
	}
	latest := make(map[group]int64, len(d.Jobs))
	for _, j := range d.Jobs {
		latest[of(j)] = max(latest[of(j)], j.Submitted)
	}
	for _, j := range d.Jobs {
		l := latest[of(j)]
		j.Superseded = ended(j) && l > j.Submitted && l >= j.End-supersedeSlack
	}
}
