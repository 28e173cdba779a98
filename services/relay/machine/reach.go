package machine

import "time"

// unheardAfter is how long a cluster must not have answered before its jobs say so.
const unheardAfter = 10 * time.Second

// Unreachable is the input that says that a cluster doesn't answer since Since, and what answered instead.
type Unreachable struct {
	Session   string
	Since, At time.Time
	Says      string
}

func (in Unreachable) apply(s *State, out *Output) {
	n := s.sessions[in.Session]
	if n == nil || in.At.Sub(in.Since) < unheardAfter {
		return
	}
	v := verdict{
		kind: "resources", code: unreachable, who: "entrypoint", since: in.Since, from: in.Since.Add(unheardAfter), detail: tidy(in.Says),
		asked: []Asked{{"jobs API", tidy(in.Says)}},
	}
	for _, e := range n.jobs {
		if e.job.Live() && e.hears(false, v, in.At, true) {
			s.due(out, e)
		}
	}
}

// Answers is the input that says that a cluster answers again. What jobs wait for is seen by the next look.
type Answers struct {
	Session string
	At      time.Time
}

func (in Answers) apply(s *State, out *Output) {
	n := s.sessions[in.Session]
	if n == nil {
		return
	}
	for _, e := range n.jobs {
		if w := e.inside; w != nil && w.code == unreachable && e.job.Live() && e.hears(false, verdict{}, in.At, false) {
			s.due(out, e)
		}
	}
}
