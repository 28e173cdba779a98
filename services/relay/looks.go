package relay

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/headwayhq/headway/services/relay/machine"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// causesLoop looks for the reasons why jobs wait: every Causes while a job waits, or is so young that it may wait;
// rarely while jobs only run; and not at all while there is no live job.
func (c *cluster) causesLoop(ctx context.Context) error {
	var last time.Time
	for {
		need := c.tracker.needs(c.present(), c.now())
		if need.Live {
			last = c.now()
			if err := c.lookAtCauses(ctx, need); err != nil && ctx.Err() == nil {
				c.log.Debug("looking at causes failed", "error", err)
			}
			need = c.tracker.needs(c.present(), c.now())
		}
		wait := 5 * c.polling.Causes
		if need.Waiting {
			wait = c.polling.Causes
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-c.poked:
			timer.Stop()
			// Changes come in groups, so one look covers several of them. A busy cluster isn't queried more often than
			// every Causes/2.
			if !sleep(ctx, max(settle, c.polling.Causes/2-c.now().Sub(last))) {
				return nil
			}
		}
	}
}

// settle is how long a look is delayed after it was requested, so that it covers the changes that follow at once.
const settle = 100 * time.Millisecond

// tasksApart is the number of jobs up to which tasks are requested per job. With more jobs, all waiting tasks are
// requested at once.
const tasksApart = 8

func (c *cluster) lookAtCauses(ctx context.Context, need machine.Needs) error {
	session := c.present()
	l := machine.Look{At: c.now(), Moving: map[string]bool{}}
	var err error
	if l.Nodes, err = c.api.Nodes(ctx); err != nil {
		c.asked(err)
		return err
	}
	if l.Actors, err = c.api.Actors(ctx, rayapi.Filter{Key: "state", Value: "PENDING_CREATION"}); err != nil {
		c.asked(err)
		l.Actors = c.tracker.heardWaiting(session)
	}
	if len(need.Running) > 0 {
		l.Tasks = c.tasks(ctx, need.Running)
		if l.Groups, err = c.api.PlacementGroups(ctx); err != nil {
			c.asked(err)
		}
		c.moving(ctx, need.Running, &l)
	}
	for i := range l.Actors {
		if machine.BuildsEnv(&l.Actors[i]) {
			if l.Envs, err = c.api.RuntimeEnvs(ctx); err != nil {
				c.asked(err)
			}
			break
		}
	}
	if len(l.Actors)+len(l.Tasks)+len(l.Groups) > 0 {
		if l.Autoscaler, err = c.api.Autoscaler(ctx, c.now()); err != nil {
			c.asked(err)
		}
		if l.Words, err = c.api.Infeasible(ctx); err != nil {
			c.asked(err)
		}
	}
	return c.tracker.step(ctx, machine.Looked{Session: session, Look: l})
}

func (c *cluster) tasks(ctx context.Context, running []string) (out []rayapi.Task) {
	state := rayapi.Filter{Key: "state", Value: "PENDING_NODE_ASSIGNMENT"}
	if len(running) > tasksApart {
		out, err := c.api.Tasks(ctx, state)
		c.asked(err)
		return out
	}
	for _, job := range running {
		tasks, err := c.api.Tasks(ctx, rayapi.Filter{Key: "job_id", Value: job}, state)
		c.asked(err)
		out = append(out, tasks...)
	}
	return out
}

// moving finds out which of the waiting jobs have a running task: for those it is normal that other tasks and actors
// queue. With too many jobs to query, all of them are assumed to have one, which leaves a cause out rather than
// reporting a wrong one.
func (c *cluster) moving(ctx context.Context, running []string, l *machine.Look) {
	waiting := map[string]bool{}
	for _, t := range l.Tasks {
		waiting[t.JobID] = true
	}
	for _, a := range l.Actors {
		waiting[a.JobID] = true
	}
	for _, g := range l.Groups {
		waiting[g.JobID] = true
	}
	asked := 0
	for _, job := range running {
		if !waiting[job] {
			continue
		}
		if asked++; asked > tasksApart {
			l.Moving[job] = true
			continue
		}
		some, err := c.api.SomeTask(ctx, rayapi.Filter{Key: "job_id", Value: job}, rayapi.Filter{Key: "state", Value: "RUNNING"})
		c.asked(err)
		l.Moving[job] = some || err != nil
	}
	for job, moves := range l.Moving {
		if !moves {
			delete(l.Moving, job)
		}
	}
}

// dataLoop requests the progress of Ray Data. Jobs without datasets are queried less and less often.
func (c *cluster) dataLoop(ctx context.Context) error {
	apart := map[string]int{} // by job id: the number of rounds to skip
	skip := map[string]int{}
	for sleep(ctx, c.polling.Data) {
		session := c.present()
		for job, d := range c.tracker.dataJobs(session, c.now()) {
			submission := d.Submission
			if skip[job] > 0 && !d.Over {
				skip[job]--
				continue
			}
			sets, err := c.api.Datasets(ctx, job)
			c.asked(err)
			var status *rayapi.StatusError
			switch {
			case ctx.Err() != nil:
				return nil
			case errors.As(err, &status) && (d.Over || status.Code == http.StatusServiceUnavailable):
				skip[job] = 60 // ray.data isn't available, or its data is gone
				if d.Over {
					c.tracker.note(machine.DataTold{Session: session, Submission: submission})
				}
			case err != nil:
				c.log.Debug("reading datasets failed", "job", submission, "error", err)
			case len(sets) == 0 && !d.Over:
				apart[job] = min(apart[job]+1, 6)
				skip[job] = apart[job]
			default:
				delete(apart, job)
				if err := c.tracker.step(ctx, machine.Counted{Session: session, Submission: submission, Sets: sets, At: c.now()}); err != nil {
					c.log.Warn("publishing progress of datasets failed", "job", submission, "error", err)
				} else if d.Over {
					delete(skip, job)
					c.tracker.note(machine.DataTold{Session: session, Submission: submission})
				}
			}
		}
	}
	return nil
}
