package machine

import (
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Retries are the attempts at a task that ended without a result, the earliest first.
type Retries struct {
	Job, Task string
	Ends      []End
}

// End is how an attempt ended.
type End struct {
	At            time.Time
	Error, Detail string
}

// Retried returns the ends of a task from its attempts. ok is false if it has passed meanwhile. What a node took with it tells nothing
// about the task.
func Retried(attempts []rayapi.Task) (r Retries, ok bool) {
	for i := range attempts {
		t := &attempts[i]
		r.Job, r.Task = t.JobID, t.Name
		switch {
		case t.State == "FINISHED":
			return r, false
		case t.State == "FAILED" && t.Error != "NODE_DIED" && t.EndMS > 0:
			r.Ends = append(r.Ends, End{rayapi.Millis(int64(t.EndMS)), t.Error, lastLine(t.ErrorText)})
		}
	}
	slices.SortFunc(r.Ends, func(a, b End) int { return a.At.Compare(b.At) })
	return r, len(r.Ends) > 0
}

// lastLine is where Python says what was raised.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// loop is work that was begun again and again, as it was first seen to be.
type loop struct {
	verdict
	error string
	last  time.Time
	gap   time.Duration // it is over if it doesn't end again within that
}

// looping returns the loop that the ends of a task make. Only those count that were like the last one.
func (r *Retries) looping() (l loop, ok bool) {
	last := r.Ends[len(r.Ends)-1]
	alike := slices.DeleteFunc(slices.Clone(r.Ends), func(e End) bool { return e.Error != last.Error })
	if len(alike) < killsLoop {
		return l, false
	}
	first, third := alike[0].At, alike[killsLoop-1]
	l = loop{error: last.Error, last: last.At, gap: max(killsGap, 2*last.At.Sub(first)/time.Duration(len(alike)-1))}
	l.verdict = verdict{kind: "resources", code: retryLoop, who: "task " + r.Task, since: first, from: third.At}
	l.detail = "it is retried, and ended at least 3 times, first at " + first.UTC().Format("15:04:05Z") + "; " + tidy(orElse(third.Detail, third.Error))
	return l, true
}

// restarts are those of an actor since it was first seen to restart often.
type restarts struct {
	first, count int // as Ray counts them
	since, last  time.Time
}

// restarting returns the loop that an actor makes which ends again and again. What a preempted node or a lost object caused tells nothing
// about the actor, and Ray's count is of its whole life: only what is seen to rise counts.
func (n *session) restarting(a *rayapi.Actor, at time.Time) (l loop, ok bool) {
	count := a.Ends()
	r, known := n.restarts[a.ID]
	if !known || at.Sub(r.last) > killsGap {
		r = restarts{first: count, since: at}
	}
	r.count, r.last = count, at
	n.restarts[a.ID] = r
	if r.count-r.first < killsLoop-1 || r.count < killsLoop {
		return l, false
	}
	l = loop{error: a.ID, last: at, gap: killsGap}
	l.verdict = verdict{kind: "resources", code: retryLoop, who: "actor " + a.Class, since: r.since, from: at}
	l.detail = "it ends and is restarted again and again"
	return l, true
}

// repeating adds the verdicts on running jobs that do the same again and again.
func (n *session) repeating(verdicts map[string]verdict, l Look) {
	found := func(job string, next loop) {
		e := n.jobs[n.drivers[job]]
		if e == nil {
			return
		}
		if e.loop != nil && e.loop.who == next.who && e.loop.error == next.error { // as it was first said: texts and times of attempts differ
			next.verdict = e.loop.verdict
		}
		e.loop = &next
	}
	for i := range l.Retries {
		if next, ok := l.Retries[i].looping(); ok {
			found(l.Retries[i].Job, next)
		}
	}
	for i := range l.Actors {
		if a := &l.Actors[i]; a.State == "RESTARTING" {
			if next, ok := n.restarting(a, l.At); ok {
				found(a.JobID, next)
			}
		}
	}
	for id, r := range n.restarts {
		if l.At.Sub(r.last) > killsGap {
			delete(n.restarts, id)
		}
	}
	for submission, e := range n.jobs {
		if e.loop == nil {
			continue
		}
		if e.job.Status() != Running || l.At.Sub(e.loop.last) > e.loop.gap || slices.Contains(l.Passed, n.jobID(submission)) {
			e.loop = nil
		} else if verdicts[submission].code != retryLoop {
			verdicts[submission] = e.loop.verdict
		}
	}
}

// Blocked are tasks that wait for the results of others.
type Blocked struct {
	Task  string
	Count int
}

// blockedAfter is how long nothing of a job must have been there but tasks that wait for results.
const blockedAfter = 2 * time.Minute

// blocking adds the verdicts on running jobs of which all that is left waits for results that nothing computes.
func (n *session) blocking(verdicts map[string]verdict, l Look, r *reading) {
	if l.Blocked == nil {
		return // not asked
	}
	waits := map[string]bool{}
	for _, w := range r.moment.Waits {
		waits[w.Submission] = true
	}
	for id := range n.blocked {
		if _, still := l.Blocked[id]; !still || l.Moving[id] || waits[n.drivers[id]] {
			delete(n.blocked, id)
		}
	}
	for id, b := range l.Blocked {
		e := n.jobs[n.drivers[id]]
		if e == nil || e.job.Status() != Running || l.Moving[id] || waits[e.job.Submission] || verdicts[e.job.Submission].kind != "" {
			continue
		}
		since, known := n.blocked[id]
		if !known {
			since = l.At
			n.blocked[id] = since
		}
		if l.At.Sub(since) < blockedAfter {
			continue
		}
		verdicts[e.job.Submission] = verdict{
			kind: "resources", code: dependency, who: "task " + b.Task, since: since, from: since.Add(blockedAfter), alike: b.Count,
			detail: "none of its tasks runs, and none waits for a node",
		}
	}
}

// Starts is a node on which tasks that have their resources wait for worker processes.
type Starts struct {
	Node    string
	Waiting int
}

// startsAfter is how long tasks must have waited for worker processes: Ray gives each process a minute, and tries five.
const startsAfter = time.Minute

// unstarted adds the verdicts on jobs that wait for nothing else that is known, while worker processes don't start.
func (n *session) unstarted(verdicts map[string]verdict, l Look, r *reading) {
	for node := range n.starts {
		if !slices.ContainsFunc(l.Starts, func(s Starts) bool { return s.Node == node }) {
			delete(n.starts, node)
		}
	}
	for _, s := range l.Starts {
		since := earliest(n.starts[s.Node], l.At)
		n.starts[s.Node] = since
		if l.At.Sub(since) < startsAfter || len(r.moment.Building) > 0 {
			continue
		}
		for _, w := range r.moment.Waits {
			v, said := verdicts[w.Submission]
			fits := w.Group == "" && len(r.moment.nodesFor(Bundle{w.Shape, w.Labels}, w.Fallback)) > 0
			if !fits || l.At.Sub(w.Since) < startsAfter || l.Moving[n.jobID(w.Submission)] || said && v.code != envBuilding && v.code != notStarted {
				continue
			}
			at := latest(w.Since, since)
			verdicts[w.Submission] = verdict{
				kind: "runtime_env", code: workerFails, who: w.Who, since: at, from: at.Add(startsAfter),
				detail: "tasks have their resources on node " + cut(s.Node) + ", and wait for worker processes there",
			}
		}
	}
}

func (n *session) jobID(submission string) string {
	if e := n.jobs[submission]; e != nil {
		id, _ := e.job.JobID()
		return id
	}
	return ""
}
