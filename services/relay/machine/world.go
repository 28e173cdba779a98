package machine

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// world is what exported events reported of a session's actors, nodes and drivers.
type world struct {
	actors   map[string]*actor // by id; those that are alive or may be
	nodes    map[string]*node  // by id
	drivers  map[string]string // job id → submission
	launches map[string]launchSeen
	stored   time.Time            // since when object stores have made work wait
	starts   map[string]time.Time // nodes on which tasks wait for worker processes, and since when
	restarts map[string]restarts  // of actors, by id
	blocked  map[string]time.Time // job ids of which nothing but waiting tasks is left, and since when
	looked   time.Time            // time of the previous autoscaler report
	first    map[string]time.Time // when waits without a time of their own were first seen
	data     map[string]*dataset
}

type actor struct {
	def   *rayapi.ActorDefinition
	state string
	at    time.Time
	early []rayapi.Transition // transitions received before the definition
}

type node struct {
	labels map[string]string
	total  Shape
	state  string
	at     time.Time
	joined time.Time
	drains time.Time // since when it is being drained; zero: it isn't
}

func newWorld() world {
	return world{
		actors: map[string]*actor{}, nodes: map[string]*node{}, drivers: map[string]string{},
		launches: map[string]launchSeen{}, first: map[string]time.Time{}, starts: map[string]time.Time{}, restarts: map[string]restarts{}, blocked: map[string]time.Time{}, data: map[string]*dataset{},
	}
}

// supervisorPrefix starts the name of the actor that runs a submission's entrypoint.
const supervisorPrefix = "_ray_internal_job_actor_"

// heardActors is the size of the table of actors. Dead ones are evicted first.
const heardActors = 50_000

// Exported is the input with events that Ray's nodes export. Clusters names the cluster of each session, if that is
// known.
type Exported struct {
	Clusters map[string]string
	Events   []rayapi.Exported
}

func (in Exported) apply(s *State, out *Output) {
	out.Hints = map[string][]string{}
	var seen Seen
	for _, e := range in.Events {
		if e.Session == "" {
			continue
		}
		cluster := in.Clusters[e.Session]
		n := s.session(e.Session, cluster)
		more, over := n.take(cluster, e)
		seen = append(seen, more...)
		if d := e.Worker; d != nil {
			first, _, _ := strings.Cut(d.Detail, "\n")
			n.killedOf(n.drivers[d.JobID], kill{d.At, first})
		}
		if e.Actor == nil && e.Driver == nil && e.Node == nil && e.Worker == nil && (len(e.States) == 0 || e.Type == "TASK_LIFECYCLE_EVENT") {
			continue
		}
		out.Used++
		if over != "" {
			out.Hints[e.Session] = append(out.Hints[e.Session], over)
		} else if _, ok := out.Hints[e.Session]; !ok {
			out.Hints[e.Session] = nil // something changed: look again at why jobs wait
		}
	}
	seen.apply(s, out)
}

// take records an exported event and returns the observations of jobs in it. hint is a submission that may have ended.
func (w *world) take(cluster string, e rayapi.Exported) (seen []Observation, hint string) {
	about := func(submission string) Observation {
		return Observation{Cluster: cluster, Session: e.Session, Submission: submission, Source: "events"}
	}
	if d := e.Actor; d != nil {
		a := w.actor(d.ID)
		a.def = d
		if submission, ok := submissionOf(d.Name); ok {
			o := about(submission)
			o.Resources = d.Resources
			seen = append(seen, o)
			more, over := supervisorSteps(about, submission, a.early)
			seen, hint = append(seen, more...), over
		}
		a.early = nil
	}
	if d := e.Driver; d != nil {
		if submission := d.Metadata["job_submission_id"]; submission != "" {
			w.drivers[d.JobID] = submission
			o := about(submission)
			o.JobID, o.DriverAt, o.JobName, o.Metadata = d.JobID, e.At, d.Metadata["job_name"], d.Metadata
			o.Status, o.At, o.SeenBy = Running, e.At, true
			seen = append(seen, o)
		}
	}
	if d := e.Worker; d != nil && w.drivers[d.JobID] != "" {
		o := about(w.drivers[d.JobID])
		o.OutOfMemory = d.At
		seen = append(seen, o)
	}
	if d := e.Node; d != nil {
		w.node(d.ID).labels = d.Labels
	}
	switch e.Type {
	case "ACTOR_LIFECYCLE_EVENT":
		more, over := w.actorSteps(about, e)
		return append(seen, more...), orElse(over, hint)
	case "NODE_LIFECYCLE_EVENT":
		w.nodeSteps(e)
	}
	return seen, hint
}

func submissionOf(actorName string) (string, bool) {
	submission, ok := strings.CutPrefix(actorName, supervisorPrefix)
	return submission, ok && submission != ""
}

func (w *world) actor(id string) *actor {
	a := w.actors[id]
	if a == nil {
		if len(w.actors) >= heardActors {
			for k, a := range w.actors {
				if a.state == "DEAD" {
					delete(w.actors, k)
				}
			}
		}
		a = &actor{}
		w.actors[id] = a
	}
	return a
}

func (w *world) node(id string) *node {
	n := w.nodes[id]
	if n == nil {
		n = &node{}
		w.nodes[id] = n
	}
	return n
}

func (w *world) actorSteps(about func(string) Observation, e rayapi.Exported) (seen []Observation, hint string) {
	a := w.actor(e.ID)
	for _, s := range e.States {
		if !s.At.Before(a.at) {
			a.state, a.at = s.State, s.At
		}
	}
	if a.def == nil {
		if len(a.early) < earlySteps {
			a.early = append(a.early, e.States...)
		}
		return nil, ""
	}
	submission, ok := submissionOf(a.def.Name)
	if !ok {
		return nil, ""
	}
	return supervisorSteps(about, submission, e.States)
}

// earlySteps is how many transitions of an actor are kept until its definition arrives.
const earlySteps = 16

// supervisorSteps returns the observations that follow from the transitions of a supervisor actor.
func supervisorSteps(about func(string) Observation, submission string, steps []rayapi.Transition) (seen []Observation, hint string) {
	for _, s := range steps {
		o := about(submission)
		o.At = s.At
		switch {
		case s.State == "DEPENDENCIES_UNREADY" || s.State == "PENDING_CREATION":
			o.Status, o.SubmittedAt = Pending, s.At
		case s.State == "ALIVE":
			o.Status = Running
		case s.State == "DEAD" && s.Death != nil && s.Death.RuntimeEnv != "":
			o.Status, o.ErrorType, o.Message = Failed, "RUNTIME_ENV_SETUP_FAILURE", s.Death.RuntimeEnv
			hint = submission
		case s.State == "DEAD" && s.Death != nil && s.Death.Unschedulable != "":
			o.Status, o.ErrorType, o.Message = Failed, "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE", s.Death.Unschedulable
			hint = submission
		case s.State == "DEAD":
			hint = submission
			continue
		default:
			continue
		}
		seen = append(seen, o)
	}
	return seen, hint
}

func (w *world) nodeSteps(e rayapi.Exported) {
	n := w.node(e.ID)
	for _, s := range e.States {
		if s.At.Before(n.at) {
			continue
		}
		n.state, n.at = s.State, s.At
		switch {
		case s.Draining:
			n.drains = s.At // this transition has no resources
		case s.State == "ALIVE":
			n.total, n.joined = s.Resources, s.At
		}
	}
}

// heardNodes returns the live nodes that events reported, or none if the head node isn't among them: then the relay
// started after the cluster and its list is incomplete.
func (w *world) heardNodes() (out []Node) {
	head := false
	for id, n := range w.nodes {
		if n.state == "ALIVE" {
			if !n.drains.IsZero() {
				continue
			}
			head = head || n.total["node:__internal_head__"] > 0
			out = append(out, Node{ID: id, Total: n.total, Labels: n.labels, Joined: n.joined})
		}
	}
	if !head {
		return nil
	}
	return out
}

// waiting returns the waiting actors that events reported, except those in a placement group: there the group is what
// waits.
func (w *world) waiting() (out []rayapi.Actor) {
	for id, a := range w.actors {
		if a.def != nil && (a.state == "PENDING_CREATION" || a.state == "RESTARTING") {
			out = append(out, rayapi.Actor{
				ID: id, Class: a.def.Class, State: a.state, JobID: a.def.JobID, Name: a.def.Name, RuntimeEnv: a.def.RuntimeEnv,
				Resources: a.def.Resources, PlacementGroupID: a.def.PlacementGroupID, Labels: a.def.Labels,
			})
		}
	}
	return out
}

// since returns when a wait began: as reported by events, else as given, else when it was first seen.
func (w *world) since(r *reading, id string, given time.Time) time.Time {
	if a := w.actors[id]; a != nil && (a.state == "PENDING_CREATION" || a.state == "RESTARTING") {
		return a.at
	}
	if !given.IsZero() {
		return given
	}
	at, ok := w.first[id]
	if !ok {
		at = r.moment.Now
	}
	r.first[id] = at // keep only those that still wait
	return at
}

// halfLook is half of the interval between looks at causes.
const halfLook = time.Second

// BuildsEnv reports whether an actor or task waits for a runtime environment that has to be built.
func BuildsEnv(l *Look) bool {
	return slices.ContainsFunc(l.Actors, func(a rayapi.Actor) bool { return canonicalEnv([]byte(a.RuntimeEnv)) != "" }) ||
		slices.ContainsFunc(l.Tasks, func(t rayapi.Task) bool { return canonicalEnv(t.Env()) != "" })
}

// canonicalEnv returns a runtime environment without its environment variables and with sorted keys, or "" if nothing
// has to be built.
func canonicalEnv(env []byte) string {
	var m map[string]any
	if json.Unmarshal(env, &m) != nil {
		return ""
	}
	for _, key := range []string{"env_vars", "_ray_commit", "config"} {
		delete(m, key)
	}
	if len(m) == 0 {
		return ""
	}
	b, err := json.Marshal(m)
	if err != nil {
		return ""
	}
	return string(b)
}
