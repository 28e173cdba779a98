package relay

import (
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// look is what one look at a cluster's state API and autoscaler gave.
type look struct {
	at         time.Time
	nodes      []rayapi.Node
	actors     []rayapi.Actor // that wait
	tasks      []rayapi.Task  // that wait for a node
	groups     []rayapi.PlacementGroup
	envs       []rayapi.RuntimeEnv
	autoscaler rayapi.Autoscaler
	words      []rayapi.Word
	moving     map[string]bool // job ids of which a task runs
}

// moment puts a look and what events told of a session together.
func (s *session) moment(l look) Moment {
	m := Moment{Now: l.at, Autoscaler: l.autoscaler, Words: l.words, Building: map[string]bool{}, Moving: map[string]bool{}}
	for _, n := range l.nodes {
		if n.State == "ALIVE" {
			m.Nodes = append(m.Nodes, Node{ID: n.ID, Total: n.Total, Labels: n.Labels, Joined: n.Started()})
		}
	}
	if len(l.nodes) == 0 {
		m.Nodes = s.heardNodes()
	}
	if !l.autoscaler.At.IsZero() {
		m.Launching = s.launching(l.autoscaler)
	}
	for _, e := range l.envs {
		if env := canonicalEnv(e.Env); env != "" && e.Success == nil {
			m.Building[env] = true
		}
	}
	for id := range l.moving {
		m.Moving[s.drivers[id]] = true
	}
	for _, e := range s.jobs {
		if e.job.Status() == Running && len(e.job.Resources) > 0 {
			m.Holders = append(m.Holders, Holder{e.job.Submission, e.job.Resources})
		}
	}
	s.before, s.first = s.first, map[string]time.Time{} // only of what still waits
	m.Waits = append(append(s.actorWaits(l), s.taskWaits(l)...), s.groupWaits(l)...)
	s.before = nil
	return m
}

func (s *session) actorWaits(l look) (out []Wait) {
	created := map[string]time.Time{} // by actor: its creation task has a time, the actor itself none
	for _, t := range l.tasks {
		if t.Type == "ACTOR_CREATION_TASK" {
			created[t.ActorID] = t.Since()
		}
	}
	for _, a := range l.actors {
		w := Wait{Shape: a.Resources, Labels: a.Labels, RuntimeEnv: canonicalEnv([]byte(a.RuntimeEnv))}
		since := created[a.ID]
		if submission, ok := submissionOf(a.Name); ok {
			w.Submission, w.Who, w.Entrypoint = submission, "entrypoint", true
			if e := s.jobs[submission]; e != nil {
				since = e.job.Submitted
				e.job.Join(Observation{Resources: a.Resources})
			}
		} else {
			w.Submission, w.Who = s.drivers[a.JobID], "actor "+a.Class
		}
		if w.Submission == "" || a.PlacementGroupID != "" {
			continue
		}
		w.Since = s.since(a.ID, since, l.at)
		out = append(out, w)
	}
	return out
}

func (s *session) taskWaits(l look) (out []Wait) {
	for _, t := range l.tasks {
		submission := s.drivers[t.JobID]
		if t.Type != "NORMAL_TASK" || submission == "" || t.PlacementGroupID != "" || t.State != "PENDING_NODE_ASSIGNMENT" {
			continue
		}
		out = append(out, Wait{Submission: submission, Who: "task " + t.Name, Shape: t.Resources, Labels: t.Labels, Since: s.since(t.ID, t.Since(), l.at)})
	}
	return out
}

func (s *session) groupWaits(l look) (out []Wait) {
	for _, g := range l.groups {
		submission := s.drivers[g.JobID]
		if submission == "" || g.State != "PENDING" && g.State != "RESCHEDULING" {
			continue
		}
		w := Wait{Submission: submission, Who: "placement group", Group: g.ID, Since: s.since(g.ID, time.Time{}, l.at)}
		if g.Name != "" {
			w.Who += " " + g.Name
		}
		for _, b := range g.Bundles {
			if b.NodeID != "" {
				continue // this one has its place
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
