package relay

import (
	"context"
	"time"

	"github.com/headwayhq/headway/services/relay/machine"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// causesLoop looks for the reasons why jobs wait: every Causes while a job waits, or is so young that it may wait;
// less often while nothing changes; rarely while jobs only run; and not at all while there is no live job.
func (c *cluster) causesLoop(ctx context.Context) error {
	var last time.Time
	l := newLooker(c)
	for {
		need := c.tracker.needs(c.present(), c.now())
		if need.Live {
			last = c.now()
			if err := l.look(ctx, need); err != nil && ctx.Err() == nil {
				c.log.Debug("looking at causes failed", "error", err)
			}
			need = c.tracker.needs(c.present(), c.now())
		}
		wait := 5 * c.polling.Causes
		if need.Waiting {
			rarer := min(int(need.Unchanged.Minutes()), 5) // a step for each steady minute
			wait = time.Duration(1+rarer) * c.polling.Causes
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

const (
	// settle is how long a look is delayed after it was requested, so that it covers the changes that follow at once.
	settle = 100 * time.Millisecond
	// share is how much longer than a costly request the pause after it is, so that requests of one kind take at most
	// 200 ms of Ray's time in a minute, however large the cluster.
	share = 300
	// retryAfter is the pause after a costly request that failed. It doubles with each further failure, up to share.
	retryAfter = 20 * time.Second
)

// Least pauses between costly requests.
const (
	envsEvery    = 10 * time.Second
	eventsEvery  = 4 * time.Second
	holdingEvery = 10 * time.Second
	storesEvery  = 15 * time.Second

	restartingEvery = 4 * time.Second
	retriedEvery    = 20 * time.Second
	blockedEvery    = 30 * time.Second

	quietEvents = 15 * time.Second // while nothing waits
)

// failureLasts is how long a line about a failed launch counts: nothing takes it back once one succeeds.
const failureLasts = time.Minute

// tasksApart is the number of jobs up to which tasks are requested per job. With more jobs, all waiting tasks are
// requested at once.
const tasksApart = 8

// looker makes looks at one cluster. It remembers what costly requests answered until they may be repeated.
type looker struct {
	c       *cluster
	session string
	next    map[string]time.Time // by kind of request
	failed  map[string]int       // in a row, by kind of request

	samples map[string]*sample // of waiting tasks, by job id
	moving  map[string]bool
	envs    []rayapi.RuntimeEnv
	events  rayapi.Events
	holding []rayapi.Actor
	heldAt  time.Time
	taken   string // what waited when holders were asked for
	metrics nodeMetrics

	repeats  repeats
	restarts []rayapi.Actor
	blocks   map[string]machine.Blocked // by job id; nil: never asked for
}

// sample is a waiting task that is followed by its id.
type sample struct {
	task rayapi.Task
	all  int // tasks that waited with it when it was taken
}

func newLooker(c *cluster) *looker { return &looker{c: c} }

// afford makes a costly request, unless the last of its kind is too recent for what it took.
func (l *looker) afford(kind string, least time.Duration, ask func() error) {
	began := l.c.now()
	if began.Before(l.next[kind]) {
		return
	}
	err := ask()
	l.c.asked(err)
	ended := l.c.now()
	pause := share * ended.Sub(began)
	if err == nil {
		delete(l.failed, kind)
	} else { // nothing is known yet, and what a busy dashboard took says little about the next time
		pause = min(pause, retryAfter<<min(l.failed[kind], 16))
		l.failed[kind]++
	}
	l.next[kind] = ended.Add(max(least, pause))
}

func (l *looker) look(ctx context.Context, need machine.Needs) error {
	c := l.c
	if session := c.present(); session != l.session {
		*l = looker{c: c, session: session, next: map[string]time.Time{}, failed: map[string]int{}, samples: map[string]*sample{}, moving: map[string]bool{}, repeats: newRepeats()}
	}
	v := machine.Look{At: c.now(), Polled: true, Moving: map[string]bool{}, Drivers: c.endedDrivers()}
	silent := func(source string, err error) {
		c.asked(err)
		if err != nil {
			v.Unanswered = append(v.Unanswered, machine.Asked{Source: source, Says: rayapi.Plain(err)})
		}
	}
	var err error
	if v.Nodes, err = c.api.Nodes(ctx); err != nil {
		silent("state API", err)
	}
	if v.Actors, err = c.api.Actors(ctx, rayapi.Filter{Key: "state", Value: "PENDING_CREATION"}); err != nil {
		if len(v.Unanswered) == 0 {
			silent("state API", err)
		}
		v.Actors = c.tracker.heardWaiting(l.session)
	}
	if len(need.Running) > 0 {
		v.Tasks = l.tasks(ctx, need.Running)
		v.Groups, err = c.api.PlacementGroups(ctx)
		c.asked(err)
		l.afford("metrics", storesEvery, func() (err error) { l.metrics, err = c.nodeMetrics(ctx); return err })
		v.Stores, v.Starts = l.metrics.full, l.metrics.starts
		l.restarting(ctx, &v)
		l.retries(ctx, &v)
		l.blocked(ctx, &v)
		l.runs(ctx, need.Running, &v)
	}
	if machine.BuildsEnv(&v) {
		l.afford("environments", envsEvery, func() (err error) { l.envs, err = c.api.RuntimeEnvs(ctx); return err })
		v.Envs = l.envs
	}
	waits := machine.Waiting(&v)
	events := quietEvents
	if waits {
		events = eventsEvery
		if v.Autoscaler, err = c.api.Autoscaler(ctx, c.now()); err != nil {
			silent("autoscaler", err)
		}
	}
	if waits || len(need.Running) > 0 {
		l.afford("events", events, func() (err error) { l.events, err = c.api.Events(ctx); return err })
		v.Words, v.Kills = l.events.Words, l.events.Kills
		for _, f := range l.events.Failures {
			if c.now().Sub(f.At) < failureLasts { // an autoscaler whose provider refuses tries again every few seconds
				v.Autoscaler.Failures = append(v.Autoscaler.Failures, f)
			}
		}
	}
	if waits {
		l.holders(ctx, &v)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.tracker.step(ctx, machine.Looked{Session: l.session, Look: v})
}

// holders asks who holds what jobs wait for. For another wait it asks again soon: what was held before tells nothing about it.
func (l *looker) holders(ctx context.Context, v *machine.Look) {
	taken := l.c.tracker.taken(l.session, *v)
	if taken == "" {
		return
	}
	if taken != l.taken {
		l.next["holders"] = l.heldAt.Add(holdingEvery)
	}
	l.afford("holders", holdingEvery, func() (err error) {
		l.holding, err = l.c.api.Actors(ctx, rayapi.Filter{Key: "state", Value: "ALIVE"})
		if err == nil {
			l.heldAt = l.c.now()
		}
		l.taken = taken
		return err
	})
	v.Holding, v.HeldAt = l.holding, l.heldAt
}

// tasks returns a sample of the waiting tasks of each job. A sample is followed by its id, which is cheap, until it no longer waits.
func (l *looker) tasks(ctx context.Context, running []string) (out []rayapi.Task) {
	for job, s := range l.samples {
		l.afford("follow "+job, 0, func() error {
			attempts, err := l.c.api.Task(ctx, s.task.ID)
			if err == nil {
				l.followed(job, attempts)
			}
			if err == nil && l.samples[job] != nil {
				err = l.run(ctx, job)
			}
			return err
		})
	}
	if len(running) > tasksApart {
		l.afford("tasks", 0, func() error {
			some, all, err := l.c.api.WaitingTasks(ctx, "", 100)
			for i := range some {
				if l.samples[some[i].JobID] == nil {
					l.samples[some[i].JobID] = &sample{some[i], all}
				}
			}
			return err
		})
	} else {
		for _, job := range running {
			if l.samples[job] != nil {
				continue
			}
			l.afford("tasks "+job, 0, func() error {
				some, all, err := l.c.api.WaitingTasks(ctx, job, 1)
				if len(some) > 0 {
					l.samples[job] = &sample{some[0], all}
				}
				return err
			})
		}
	}
	for _, s := range l.samples {
		t := s.task
		t.Alike = s.all
		out = append(out, t)
	}
	return out
}

// followed keeps a sample that still waits, with its latest attempt.
func (l *looker) followed(job string, attempts []rayapi.Task) {
	for i := range attempts {
		if attempts[i].State == rayapi.Waiting {
			l.samples[job].task = attempts[i]
			return
		}
	}
	delete(l.samples, job)
	delete(l.next, "follow "+job)
}

// runs finds out which of the waiting jobs have a running task: for those it is normal that other tasks and actors
// queue. With too many jobs to query, all of them are assumed to have one, which leaves a cause out rather than
// reporting a wrong one.
func (l *looker) runs(ctx context.Context, running []string, v *machine.Look) {
	waiting := map[string]bool{}
	for _, t := range v.Tasks {
		waiting[t.JobID] = true
	}
	for _, a := range v.Actors {
		waiting[a.JobID] = true
	}
	for _, g := range v.Groups {
		waiting[g.JobID] = waiting[g.JobID] || g.Waits()
	}
	for job := range v.Blocked {
		waiting[job] = true
	}
	asked := 0
	for _, job := range running {
		if !waiting[job] && len(v.Stores) == 0 {
			delete(l.moving, job)
			continue
		}
		if asked++; asked > tasksApart {
			v.Moving[job] = true
			continue
		}
		if _, known := l.moving[job]; l.samples[job] == nil || !known { // else it was asked for with the sample
			l.afford("runs "+job, 0, func() error { return l.run(ctx, job) })
		}
		if l.moving[job] {
			v.Moving[job] = true
		}
	}
}

func (l *looker) run(ctx context.Context, job string) error {
	running, err := l.c.api.Runs(ctx, job)
	l.moving[job] = running > l.metrics.inGet[job] || err != nil
	return err
}
