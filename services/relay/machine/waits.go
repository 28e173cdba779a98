package machine

import (
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Look is the result of one poll of a cluster's state API and autoscaler.
type Look struct {
	At         time.Time
	Nodes      []rayapi.Node
	Actors     []rayapi.Actor // waiting ones
	Holding    []rayapi.Actor // those that are alive, if they were asked for
	HeldAt     time.Time      // when they were; zero: they weren't
	Tasks      []rayapi.Task  // those waiting for a node
	Groups     []rayapi.PlacementGroup
	Envs       []rayapi.RuntimeEnv
	Autoscaler rayapi.Autoscaler
	Words      []rayapi.Word
	Kills      []rayapi.Kill
	Moving     map[string]bool      // job ids with a running task
	Drivers    map[string]time.Time // job ids of drivers that weren't submitted and are over, and when they ended
	Stores     []Store              // nodes whose object store makes work wait
	Starts     []Starts             // nodes on which tasks wait for worker processes
	Retries    []Retries            // tasks that were begun again and again
	Passed     []string             // job ids of which such a task has passed since the look before
	Blocked    map[string]Blocked   // tasks that wait for the results of others, by job id
	Unanswered []Asked              // sources that didn't answer, or with something else
	Polled     bool                 // the cluster was asked; else this is what events alone tell
}

// Looked is the input with a look at a session. An event becomes due if what a job waits for has changed.
type Looked struct {
	Session string
	Look
}

func (in Looked) apply(s *State, out *Output) {
	n := s.sessions[in.Session]
	if n == nil {
		return
	}
	r := n.read(in.Look)
	for submission, demands := range r.demands {
		n.jobs[submission].job.Join(Observation{Resources: demands})
	}
	n.first, n.launches, n.looked = r.first, r.launches, r.looked
	n.killed(in.Kills)
	verdicts := Judge(r.moment)
	n.dying(verdicts, in.At)
	n.storing(verdicts, in.Look)
	n.repeating(verdicts, in.Look)
	n.unstarted(verdicts, in.Look, r)
	n.blocking(verdicts, in.Look, r)
	if len(r.moment.Nodes) == 0 && len(in.Unanswered) == 0 && len(verdicts) == 0 {
		return
	}
	waits := map[string]bool{}
	for _, w := range r.moment.Waits {
		waits[w.Submission] = true
	}
	for submission, e := range n.jobs {
		if !e.job.Live() {
			continue
		}
		v := verdicts[submission]
		if v.kind == "" && !in.settles(e, &v) {
			continue
		}
		if e.hears(false, v, in.At, waits[submission]) {
			s.due(out, e)
		}
	}
}

// settles completes the verdict on a job that nothing is known to be in the way of. It returns false if it is too early to say so.
func (in *Looked) settles(e *entry, v *verdict) bool {
	switch {
	case len(in.Unanswered) > 0 && e.job.Status() == Pending:
		since := e.job.begun()
		if in.At.Sub(since) < neverBefore {
			return false
		}
		source, says := in.Unanswered[0].Source, in.Unanswered[0].Says
		*v = verdict{kind: "resources", code: unknown, who: "entrypoint", since: since, from: in.At, asked: in.Unanswered, detail: source + ": " + says}
		return true
	case len(in.Unanswered) > 0:
		return false
	case e.inside == nil && !in.Polled:
		return false
	case e.job.Status() == Pending && e.inside == nil:
		return in.At.Sub(e.job.begun()) >= neverBefore
	}
	return true
}

// reading is what is derived from a look: the moment to judge, and what to remember of the session.
type reading struct {
	moment   Moment
	demands  map[string]map[string]float64 // demands of entrypoints, by submission
	first    map[string]time.Time          // when waits without a time of their own were first seen
	launches map[string]launchSeen
	looked   time.Time
}

// read combines a look with what events reported of the session. It changes neither.
func (n *session) read(l Look) *reading {
	r := &reading{
		moment: Moment{
			Now: l.At, Autoscaler: l.Autoscaler, Words: l.Words, Building: map[string]bool{}, Failed: map[string]string{}, Moving: map[string]bool{}, HeldAt: l.HeldAt,
		},
		demands: map[string]map[string]float64{}, first: map[string]time.Time{}, launches: n.launches, looked: n.looked,
	}
	m := &r.moment
	n.readNodes(l, m)
	if !l.Autoscaler.At.IsZero() {
		m.Launching, r.launches = n.launching(l.Autoscaler, m.Nodes)
		r.looked = latest(n.looked, l.Autoscaler.At)
	}
	for _, e := range l.Envs {
		switch env := canonicalEnv(e.Env); {
		case env == "":
		case e.Success == nil:
			m.Building[env] = true
		case !*e.Success:
			m.Failed[env] = e.Error
		}
	}
	for id := range l.Moving {
		m.Moving[n.drivers[id]] = true
	}
	m.Holders = n.holders(l)
	m.Waits = slices.Concat(n.actorWaits(l, r), n.taskWaits(l, r), n.groupWaits(l, r))
	return r
}

// readNodes tells the nodes that take work from those that died or are being drained.
func (n *session) readNodes(l Look, m *Moment) {
	for i := range l.Nodes {
		node := &l.Nodes[i]
		if node.State != "ALIVE" {
			if g, ok := goneOf(node); ok {
				m.Gone = append(m.Gone, g)
			}
			continue
		}
		o := Node{ID: node.ID, Total: node.Total, Labels: node.Labels, Joined: node.Started(), Free: freeOf(node.ID, node.Total, &l.Autoscaler)}
		if heard := n.nodes[node.ID]; heard != nil && !heard.drains.IsZero() {
			m.Gone = append(m.Gone, Gone{Node: o, At: heard.drains, Why: "it is being drained", Taken: true})
			continue
		}
		m.Nodes = append(m.Nodes, o)
	}
	if len(l.Nodes) == 0 {
		m.Nodes = n.heardNodes()
	}
}

// begun is when a submission began to run; zero if it hasn't, or isn't known.
func (n *session) begun(submission string) time.Time {
	e := n.jobs[submission]
	if e == nil || e.job.Status() != Running {
		return time.Time{}
	}
	return earliest(e.job.started, e.job.startSeen)
}

func (n *session) actorWaits(l Look, r *reading) (out []Wait) {
	created := map[string]time.Time{} // by actor: the creation task has a time, the actor itself has none
	for _, t := range l.Tasks {
		if t.Type == "ACTOR_CREATION_TASK" {
			created[t.ActorID] = t.Since()
		}
	}
	for _, a := range l.Actors {
		w := Wait{Shape: a.Resources, Labels: a.Labels, Fallback: a.Fallback.Selectors(), RuntimeEnv: canonicalEnv([]byte(a.RuntimeEnv))}
		since := created[a.ID]
		if submission, ok := submissionOf(a.Name); ok {
			w.Submission, w.Who, w.Entrypoint = submission, "entrypoint", true
			if e := n.jobs[submission]; e != nil {
				since, w.Says = e.job.Submitted, e.job.says
				r.demands[submission] = a.Resources
			}
		} else {
			w.Submission, w.Who = n.drivers[a.JobID], "actor "+a.Class
			w.Began = n.begun(w.Submission)
		}
		if w.Submission == "" || a.PlacementGroupID != "" {
			continue
		}
		w.Since = n.since(r, a.ID, since)
		out = append(out, w)
	}
	return out
}

func (n *session) taskWaits(l Look, r *reading) (out []Wait) {
	for _, t := range l.Tasks {
		submission := n.drivers[t.JobID]
		if t.Type != "NORMAL_TASK" || submission == "" || t.PlacementGroupID != "" || t.State != "PENDING_NODE_ASSIGNMENT" {
			continue
		}
		out = append(out, Wait{Submission: submission, Who: "task " + t.Name, Shape: t.Resources, Labels: t.Labels, Fallback: t.Fallback.Selectors(), Since: n.since(r, t.ID, t.Since()), Began: n.begun(submission), Alike: t.Alike, RuntimeEnv: canonicalEnv(t.Env())})
	}
	return out
}

func (n *session) groupWaits(l Look, r *reading) (out []Wait) {
	for _, g := range l.Groups {
		submission := n.drivers[g.JobID]
		if submission == "" || !g.Waits() {
			continue
		}
		w := Wait{Submission: submission, Who: "placement group", Group: g.ID, State: g.Stats.State, Since: n.since(r, g.ID, g.Since()), Began: n.begun(submission)}
		if g.State == "RESCHEDULING" {
			w.State = g.State
		}
		if g.Name != "" {
			w.Who += " " + g.Name
		}
		for _, b := range g.Bundles {
			if b.NodeID != "" {
				continue // this one is already placed
			}
			w.Bundles = append(w.Bundles, Bundle{b.Resources, b.Labels})
			w.Shape = w.Shape.plus(b.Resources)
		}
		if w.Strategy = strategyOf(w.Bundles, &l.Autoscaler); len(w.Bundles) > 0 {
			out = append(out, w)
		}
	}
	return out
}

// holders are those that hold resources: entrypoints, and if they were asked for actors and placement groups. What has a place in a
// placement group holds none of its own.
func (n *session) holders(l Look) (out []Holder) {
	for _, e := range n.jobs {
		if e.job.Status() == Running && len(e.job.Resources) > 0 {
			out = append(out, Holder{Submission: e.job.Submission, What: "entrypoint", Shape: e.job.Resources})
		}
	}
	of := func(job string, h Holder) {
		h.Job, h.Submission = job, n.drivers[job]
		if e := n.jobs[h.Submission]; e != nil && e.job.Status().Terminal() {
			h.Over, h.Ended = true, e.job.ends[0].at
		} else if at, over := l.Drivers[job]; over && h.Submission == "" {
			h.Over, h.Ended = true, at
		}
		out = append(out, h)
	}
	for _, a := range l.Holding {
		submission, entrypoint := submissionOf(a.Name)
		if a.PlacementGroupID != "" || Shape(a.Resources).facts() == nil {
			continue
		}
		if entrypoint {
			i := slices.IndexFunc(out, func(h Holder) bool { return h.Submission == submission && h.What == "entrypoint" })
			if i >= 0 {
				out[i].Node = a.NodeID
			}
			continue
		}
		of(a.JobID, Holder{What: "actor " + a.Class, Shape: a.Resources, Node: a.NodeID})
	}
	for _, g := range l.Groups {
		if g.State != "CREATED" {
			continue
		}
		for _, b := range g.Bundles {
			of(g.JobID, Holder{What: strings.TrimSpace("placement group " + g.Name), Shape: b.Resources, Node: b.NodeID})
		}
	}
	return out
}
