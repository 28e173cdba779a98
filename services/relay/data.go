package relay

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/headwayhq/headway/services/relay/machine"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

const (
	// dataTries is how many of the jobs that have shown no dataset yet are asked about in one round: a cluster may have a thousand jobs
	// that never use Ray Data.
	dataTries = 5
	// dataApart is the longest pause, in rounds, after which a job without datasets is asked about again, if its turn has come.
	dataApart = 6
	// dataAway is the pause, in rounds, after the answer that Ray Data isn't there.
	dataAway = 60
)

// dataAsked is what is remembered of the requests for a job's datasets.
type dataAsked struct {
	has   bool      // it has shown a dataset
	empty int       // answers without one, in a row
	asked time.Time // zero: never
	next  time.Time // not before
}

// dataLoop requests the progress of Ray Data.
func (c *cluster) dataLoop(ctx context.Context) error {
	all := map[string]*dataAsked{}
	for sleep(ctx, c.polling.Data) {
		session, jobs := c.present(), c.tracker.dataJobs(c.present(), c.now())
		for _, job := range dataDue(all, jobs, c.now()) {
			c.lookAtData(ctx, session, job, jobs[job], all[job])
			if ctx.Err() != nil {
				return nil
			}
		}
	}
	return nil
}

// dataDue chooses the jobs to ask about now: those that are over, those with datasets, and some of the others, first those that weren't
// asked about for longest.
func dataDue(all map[string]*dataAsked, jobs map[string]machine.DataJob, now time.Time) (due []string) {
	var others []string
	for job := range all {
		if _, still := jobs[job]; !still {
			delete(all, job)
		}
	}
	for job, d := range jobs {
		s := all[job]
		if s == nil {
			s = &dataAsked{}
			all[job] = s
		}
		switch {
		case d.Over:
			due = append(due, job)
		case now.Before(s.next):
		case s.has:
			due = append(due, job)
		default:
			others = append(others, job)
		}
	}
	slices.SortFunc(others, func(a, b string) int { return cmp.Or(all[a].asked.Compare(all[b].asked), cmp.Compare(a, b)) })
	return append(due, others[:min(len(others), dataTries)]...)
}

func (c *cluster) lookAtData(ctx context.Context, session, job string, d machine.DataJob, s *dataAsked) {
	sets, err := c.api.Datasets(ctx, job)
	c.asked(err)
	s.asked = c.now()
	rest := func(rounds int) { s.next = s.asked.Add(time.Duration(rounds) * c.polling.Data) }
	var status *rayapi.StatusError
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &status) && (d.Over || status.Code == http.StatusServiceUnavailable):
		rest(dataAway) // ray.data isn't available, or its data is gone
		if d.Over {
			c.tracker.note(machine.DataTold{Session: session, Submission: d.Submission})
		}
	case err != nil:
		c.log.Debug("reading datasets failed", "job", d.Submission, "error", err)
	case len(sets) == 0 && !d.Over:
		s.empty = min(s.empty+1, dataApart)
		rest(s.empty)
	default:
		s.has, s.empty = true, 0
		if err := c.tracker.step(ctx, machine.Counted{Session: session, Submission: d.Submission, Sets: sets, At: c.now()}); err != nil {
			c.log.Warn("publishing progress of datasets failed", "job", d.Submission, "error", err)
		} else if d.Over {
			c.tracker.note(machine.DataTold{Session: session, Submission: d.Submission})
		}
	}
}
