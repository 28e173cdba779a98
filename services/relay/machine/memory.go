package machine

import (
	"fmt"
	"slices"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Workers that a node's memory monitor killed.
const (
	killsApart = 2 * time.Second  // two sources report the same kill, one of them in whole seconds
	killsGap   = 10 * time.Minute // a series of kills is over if the next one comes later
	killsLoop  = 3                // from this one on it is a loop
	killsKept  = 100
)

// kill is one kill of a worker of a job.
type kill struct {
	at     time.Time
	detail string
}

// killed records kills that the cluster's events report.
func (n *session) killed(kills []rayapi.Kill) {
	for _, k := range kills {
		for _, job := range k.Jobs {
			n.killedOf(n.drivers[job], kill{k.At, k.Detail})
		}
	}
}

// killedOf records a kill once, whichever source reported it.
func (n *session) killedOf(submission string, k kill) {
	e := n.jobs[submission]
	if e == nil || slices.ContainsFunc(e.kills, func(o kill) bool { return o.at.Sub(k.at).Abs() < killsApart }) {
		return
	}
	e.kills = append(e.kills, k)
	slices.SortFunc(e.kills, func(a, b kill) int { return a.at.Compare(b.at) })
	e.kills = e.kills[max(0, len(e.kills)-killsKept):]
	e.job.Join(Observation{OutOfMemory: k.at})
}

// dying adds the verdicts on running jobs whose workers are killed for memory: where the same is done again and again, it is a loop.
func (n *session) dying(verdicts map[string]verdict, now time.Time) {
	for submission, e := range n.jobs {
		if len(e.kills) == 0 || e.job.Status() != Running || now.Sub(e.kills[len(e.kills)-1].at) > killsGap {
			continue
		}
		series := e.kills
		for i := len(series) - 1; i > 0; i-- {
			if series[i].at.Sub(series[i-1].at) > killsGap {
				series = series[i:]
				break
			}
		}
		last := series[len(series)-1]
		v := verdict{kind: "resources", code: outOfMemory, who: "entrypoint", since: series[0].at, from: series[0].at}
		v.detail = fmt.Sprintf("killed %s, first at %s; %s", times(len(series)), series[0].at.UTC().Format("15:04:05Z"), tidy(last.detail))
		if len(series) >= killsLoop {
			v.code, v.from = retryLoop, series[killsLoop-1].at
		}
		verdicts[submission] = v
	}
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// Store is a node whose object store makes work wait.
type Store struct {
	Node    string
	Waiting int    // tasks and pulls that wait for memory
	Detail  string // how full it is
}

// storeAfter is how long work must have waited for object store memory with nothing of it running: a full store that spills
// is normal for Ray Data.
const storeAfter = 2 * time.Minute

// storing adds the verdicts on running jobs whose work waits for object store memory.
func (n *session) storing(verdicts map[string]verdict, l Look) {
	if len(l.Stores) == 0 {
		n.stored = time.Time{}
		return
	}
	n.stored = earliest(n.stored, l.At)
	if l.At.Sub(n.stored) < storeAfter {
		return
	}
	for submission, e := range n.jobs {
		id, _ := e.job.JobID()
		if e.job.Status() != Running || id == "" || l.Moving[id] || verdicts[submission].kind != "" {
			continue
		}
		s := l.Stores[0]
		verdicts[submission] = verdict{
			kind: "resources", code: storeFull, who: "entrypoint", since: n.stored, from: n.stored.Add(storeAfter),
			detail: fmt.Sprintf("%d of its tasks or objects wait on node %s; %s", s.Waiting, cut(s.Node), s.Detail),
		}
	}
}
