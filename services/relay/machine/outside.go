package machine

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A job that both its cluster and an object outside of it tell of is one job. It has the session of the cluster, and what it
// waits for is the first thing in its way:
//
//	queue · object · pod · image · container │ placed in Ray · environment · worker · program
//	              outside                    │                 inside

// Called is the input that says under which name the cluster at an address is relayed.
type Called struct{ Address, Cluster string }

func (in Called) apply(s *State, _ *Output) { s.names[in.Address] = in.Cluster }

// find returns the job of an observation, and the session that has it. A job that was taken in is no longer touched.
func (s *State) find(o *Observation, touched *[]*entry) (*session, *entry) {
	if name, ok := s.names[o.Cluster]; ok && o.Outside {
		o.Cluster = name
	}
	if o.Outside {
		if of := s.reporter(o); of != nil {
			e := of.jobs[o.Submission]
			s.takeIn(e, s.sessions[o.Session], touched)
			return of, e
		}
	}
	n := s.session(o.Session, o.Cluster)
	if n.outside = n.outside || o.Outside; n.outside {
		return n, n.entry(o.Submission)
	}
	known := n.jobs[o.Submission] != nil
	e := n.entry(o.Submission)
	if known {
		return n, e
	}
	for _, id := range slices.Sorted(maps.Keys(s.sessions)) {
		if out := s.sessions[id]; out.outside && out.jobs[o.Submission] != nil && out.jobs[o.Submission].in(o.Cluster) {
			s.takeIn(e, out, touched)
		}
	}
	return n, e
}

// in reports whether a job that is seen from outside may be one of a cluster.
func (e *entry) in(cluster string) bool { return e.job.Cluster == "" || e.job.Cluster == cluster }

// reporter returns the session of the cluster that reports a job seen from outside, the latest one if there are several.
func (s *State) reporter(o *Observation) (of *session) {
	for _, n := range s.sessions {
		e := n.jobs[o.Submission]
		if n.outside || n.id == o.Session || e == nil || o.Cluster != "" && o.Cluster != e.job.Cluster {
			continue
		}
		if of == nil || cmp.Or(n.order-of.order, cmp.Compare(n.id, of.id)) > 0 {
			of = n
		}
	}
	return of
}

// takeIn moves what was seen of a job from outside to the job as its cluster reports it.
func (s *State) takeIn(e *entry, from *session, touched *[]*entry) {
	if from == nil || from.jobs[e.job.Submission] == nil {
		return
	}
	o := from.jobs[e.job.Submission]
	e.job.absorb(&o.job)
	e.outside, e.lines = o.outside, cmp.Or(e.lines, o.lines)
	if e.waiting == nil {
		e.waiting = o.waiting
	}
	if delete(from.jobs, e.job.Submission); len(from.jobs) == 0 {
		delete(s.sessions, from.id)
	}
	*touched = slices.DeleteFunc(*touched, func(t *entry) bool { return t == o })
}

// heard is what one side says of a job's wait.
type heard struct {
	verdict
	status Status
	waits  bool // something of the job still waits
}

// hears records what one side says of a wait. It returns true if what is published of the wait changes.
func (e *entry) hears(outside bool, v verdict, now time.Time, waits bool) bool {
	h := &heard{v, e.job.Status(), waits}
	if outside {
		e.outside = h
	} else {
		e.inside = h
	}
	if first := e.firstInTheWay(); first != h {
		h = first
	}
	return e.says(h.verdict, now, h.waits)
}

// firstInTheWay is the side that speaks.
func (e *entry) firstInTheWay() *heard {
	in, out := e.inside, e.outside
	switch status := e.job.Status(); {
	case out == nil || out.status != status:
		return cmp.Or(in, out)
	case in == nil || in.status != status:
		return out
	case out.vague():
		if in.kind == "" && out.kind != "" { // it waits, and the cluster sees nothing in its way either
			return out
		}
		return in
	case in.kind == "" && out.worker: // nothing waits for it
		return in
	case in.vague() || in.code == unreachable || in.kind == "":
		return out
	}
	for _, name := range []string{"CPU", "GPU"} {
		if out.worker && len(out.brings) > 0 && out.brings[name] < in.demand[name] {
			return in // that worker wouldn't do
		}
	}
	return out
}

// vague reports whether nothing is known to be in the job's way.
func (h *heard) vague() bool { return h.kind == "" || h.code == notStarted || h.code == unknown }
