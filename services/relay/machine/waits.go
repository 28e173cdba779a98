package machine

import (
	"slices"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Look is the result of one poll of a cluster's state API and autoscaler.
type Look struct {
	At         time.Time
	Nodes      []rayapi.Node
	Actors     []rayapi.Actor // waiting ones
	Tasks      []rayapi.Task  // those waiting for a node
	Groups     []rayapi.PlacementGroup
	Envs       []rayapi.RuntimeEnv
	Autoscaler rayapi.Autoscaler
	Words      []rayapi.Word
	Moving     map[string]bool // job ids with a running task
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
	if len(r.moment.Nodes) == 0 {
		return
	}
	verdicts := Judge(r.moment)
	for submission, e := range n.jobs {
		if e.job.Live() && e.says(verdicts[submission], r.moment.Now) {
			s.due(out, e)
		}
	}
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
		moment:  Moment{Now: l.At, Autoscaler: l.Autoscaler, Words: l.Words, Building: map[string]bool{}, Moving: map[string]bool{}},
		demands: map[string]map[string]float64{}, first: map[string]time.Time{}, launches: n.launches, looked: n.looked,
	}
	m := &r.moment
	for _, node := range l.Nodes {
		if node.State == "ALIVE" {
			m.Nodes = append(m.Nodes, Node{ID: node.ID, Total: node.Total, Labels: node.Labels, Joined: node.Started()})
		}
	}
	if len(l.Nodes) == 0 {
		m.Nodes = n.heardNodes()
	}
	if !l.Autoscaler.At.IsZero() {
		m.Launching, r.launches = n.launching(l.Autoscaler)
		r.looked = latest(n.looked, l.Autoscaler.At)
	}
	for _, e := range l.Envs {
		if env := canonicalEnv(e.Env); env != "" && e.Success == nil {
			m.Building[env] = true
		}
	}
	for id := range l.Moving {
		m.Moving[n.drivers[id]] = true
	}
	for _, e := range n.jobs {
		if e.job.Status() == Running && len(e.job.Resources) > 0 {
			m.Holders = append(m.Holders, Holder{e.job.Submission, e.job.Resources})
		}
	}
	m.Waits = slices.Concat(n.actorWaits(l, r), n.taskWaits(l, r), n.groupWaits(l, r))
	return r
}

func (n *session) actorWaits(l Look, r *reading) (out []Wait) {
	created := map[string]time.Time{} // by actor: the creation task has a time, the actor itself has none
	for _, t := range l.Tasks {
		if t.Type == "ACTOR_CREATION_TASK" {
			created[t.ActorID] = t.Since()
		}
	}
	for _, a := range l.Actors {
		w := Wait{Shape: a.Resources, Labels: a.Labels, RuntimeEnv: canonicalEnv([]byte(a.RuntimeEnv))}
		since := created[a.ID]
		if submission, ok := submissionOf(a.Name); ok {
			w.Submission, w.Who, w.Entrypoint = submission, "entrypoint", true
			if e := n.jobs[submission]; e != nil {
				since = e.job.Submitted
				r.demands[submission] = a.Resources
			}
		} else {
			w.Submission, w.Who = n.drivers[a.JobID], "actor "+a.Class
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
		out = append(out, Wait{Submission: submission, Who: "task " + t.Name, Shape: t.Resources, Labels: t.Labels, Since: n.since(r, t.ID, t.Since())})
	}
	return out
}

func (n *session) groupWaits(l Look, r *reading) (out []Wait) {
	for _, g := range l.Groups {
		submission := n.drivers[g.JobID]
		if submission == "" || g.State != "PENDING" && g.State != "RESCHEDULING" {
			continue
		}
		w := Wait{Submission: submission, Who: "placement group", Group: g.ID, Since: n.since(r, g.ID, time.Time{})}
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
		if len(w.Bundles) > 0 {
			out = append(out, w)
		}
	}
	return out
}
