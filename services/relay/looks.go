package relay

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// causesLoop looks why jobs wait: each Causes while one does, or may since it is young; seldom while jobs only run; not at
// all while none lives.
func (c *cluster) causesLoop(ctx context.Context) error {
	var last time.Time
	for {
		need := c.tracker.needs(c.present(), c.now())
		if need.live {
			last = c.now()
			if err := c.lookAtCauses(ctx, need); err != nil && ctx.Err() == nil {
				c.log.Debug("look at causes", "error", err)
			}
			need = c.tracker.needs(c.present(), c.now())
		}
		wait := 5 * c.polling.Causes
		if need.waiting {
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
			// Several things happen at once, and a cluster where much does is not asked more often for it.
			if !sleep(ctx, max(settle, c.polling.Causes/2-c.now().Sub(last))) {
				return nil
			}
		}
	}
}

// settle is how long a look waits for what comes with what poked it.
const settle = 100 * time.Millisecond

// tasksApart is up to how many jobs are asked for their tasks one by one; beyond that all tasks that wait are asked for at once.
const tasksApart = 8

func (c *cluster) lookAtCauses(ctx context.Context, need needs) error {
	session := c.present()
	l := look{at: c.now(), moving: map[string]bool{}}
	var err error
	if l.nodes, err = c.api.Nodes(ctx); err != nil {
		c.asked(err)
		return err
	}
	if l.actors, err = c.api.Actors(ctx, rayapi.Filter{Key: "state", Value: "PENDING_CREATION"}); err != nil {
		c.asked(err)
		l.actors = c.tracker.heardWaiting(session)
	}
	if len(need.running) > 0 {
		l.tasks = c.tasks(ctx, need.running)
		if l.groups, err = c.api.PlacementGroups(ctx); err != nil {
			c.asked(err)
		}
		c.moving(ctx, need.running, &l)
	}
	for _, a := range l.actors {
		if canonicalEnv([]byte(a.RuntimeEnv)) != "" {
			if l.envs, err = c.api.RuntimeEnvs(ctx); err != nil {
				c.asked(err)
			}
			break
		}
	}
	if len(l.actors)+len(l.tasks)+len(l.groups) > 0 {
		if l.autoscaler, err = c.api.Autoscaler(ctx, c.now()); err != nil {
			c.asked(err)
		}
		if l.words, err = c.api.Infeasible(ctx); err != nil {
			c.asked(err)
		}
	}
	return c.tracker.judge(ctx, session, l)
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

// moving asks which of the jobs that wait for something have a task that runs: their tasks and actors queue up, as is usual. Where
// too many would have to be asked for, all are taken to move: nothing is said rather than something wrong.
func (c *cluster) moving(ctx context.Context, running []string, l *look) {
	waiting := map[string]bool{}
	for _, t := range l.tasks {
		waiting[t.JobID] = true
	}
	for _, a := range l.actors {
		waiting[a.JobID] = true
	}
	for _, g := range l.groups {
		waiting[g.JobID] = true
	}
	asked := 0
	for _, job := range running {
		if !waiting[job] {
			continue
		}
		if asked++; asked > tasksApart {
			l.moving[job] = true
			continue
		}
		some, err := c.api.SomeTask(ctx, rayapi.Filter{Key: "job_id", Value: job}, rayapi.Filter{Key: "state", Value: "RUNNING"})
		c.asked(err)
		l.moving[job] = some || err != nil
	}
	for job, moves := range l.moving {
		if !moves {
			delete(l.moving, job)
		}
	}
}

// dataLoop asks for the progress of Ray Data. Jobs without datasets are asked ever less often.
func (c *cluster) dataLoop(ctx context.Context) error {
	apart := map[string]int{} // by job id: rounds to leave out
	skip := map[string]int{}
	for sleep(ctx, c.polling.Data) {
		session := c.present()
		for job, d := range c.tracker.dataJobs(session, c.now()) {
			submission := d.submission
			if skip[job] > 0 && !d.over {
				skip[job]--
				continue
			}
			sets, err := c.api.Datasets(ctx, job)
			c.asked(err)
			var status *rayapi.StatusError
			switch {
			case ctx.Err() != nil:
				return nil
			case errors.As(err, &status) && (d.over || status.Code == http.StatusServiceUnavailable):
				skip[job] = 60 // no ray.data there, or nothing left of it
				if d.over {
					c.tracker.dataTold(session, submission)
				}
			case err != nil:
				c.log.Debug("datasets", "job", submission, "error", err)
			case len(sets) == 0 && !d.over:
				apart[job] = min(apart[job]+1, 6)
				skip[job] = apart[job]
			default:
				delete(apart, job)
				if err := c.tracker.datasets(ctx, session, submission, sets, c.now()); err != nil {
					c.log.Warn("datasets", "job", submission, "error", err)
				} else if d.over {
					delete(skip, job)
					c.tracker.dataTold(session, submission)
				}
			}
		}
	}
	return nil
}
