package relay

import (
	"context"

	"github.com/headwayhq/headway/services/relay/machine"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// passedKept is how many tasks are remembered that were retried often and passed then.
const passedKept = 1000

// repeats are the tasks that were retried often, followed by their ids.
type repeats struct {
	tasks  map[string]string          // task id by job id
	ends   map[string]machine.Retries // by job id
	passed map[string]bool            // ids of tasks that need no second look
}

func newRepeats() repeats {
	return repeats{tasks: map[string]string{}, ends: map[string]machine.Retries{}, passed: map[string]bool{}}
}

// retries finds tasks that end again and again. One of each job is followed by its id.
func (l *looker) retries(ctx context.Context, v *machine.Look) {
	r := &l.repeats
	l.afford("retried", retriedEvery, func() error {
		some, err := l.c.api.Retried(ctx)
		for i := range some {
			if t := &some[i]; r.tasks[t.JobID] == "" && !r.passed[t.ID] {
				r.tasks[t.JobID] = t.ID
			}
		}
		return err
	})
	for job, id := range r.tasks {
		l.afford("retries "+job, retriedEvery, func() error {
			attempts, err := l.c.api.Attempts(ctx, id)
			if err != nil {
				return err
			}
			ends, ok := machine.Retried(attempts)
			if ok {
				r.ends[job] = ends
				return nil
			}
			if len(r.passed) >= passedKept {
				clear(r.passed)
			}
			r.passed[id] = true
			delete(r.tasks, job)
			delete(r.ends, job)
			v.Passed = append(v.Passed, job)
			return nil
		})
	}
	for _, ends := range r.ends {
		v.Retries = append(v.Retries, ends)
	}
}

// blocked finds jobs with tasks that wait for the results of others.
func (l *looker) blocked(ctx context.Context, v *machine.Look) {
	l.afford("blocked", blockedEvery, func() error {
		some, err := l.c.api.Blocked(ctx)
		l.blocks = map[string]machine.Blocked{}
		for i := range some {
			b := l.blocks[some[i].JobID]
			b.Task, b.Count = some[i].Name, b.Count+1
			l.blocks[some[i].JobID] = b
		}
		return err
	})
	v.Blocked = l.blocks
}

// restarting adds the actors that are being restarted. They wait as new ones do.
func (l *looker) restarting(ctx context.Context, v *machine.Look) {
	l.afford("restarting", restartingEvery, func() (err error) {
		l.restarts, err = l.c.api.Actors(ctx, rayapi.Filter{Key: "state", Value: "RESTARTING"})
		return err
	})
	v.Actors = append(v.Actors, l.restarts...)
}
