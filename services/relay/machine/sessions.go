package machine

import (
	"crypto/sha256"
	"maps"
	"slices"
	"time"
)

// Bounds of what is remembered.
const (
	sessionsKept = 4      // of a cluster: older ones serve only to recognize reused ids
	jobsKept     = 20_000 // of a session: beyond this, ended jobs are evicted first, then those heard of longest ago
)

// Joined is the input that says which cluster a session belongs to, for its jobs' names and links.
type Joined struct{ Session, Cluster, Link string }

func (in Joined) apply(s *State, _ *Output) {
	n := s.session(in.Session, in.Cluster)
	if n.link == "" {
		s.order++
		n.order = s.order
	}
	n.link = in.Link
	s.forgetSessions(in.Link)
	for _, e := range n.jobs {
		e.job.Cluster = max(e.job.Cluster, in.Cluster)
	}
}

func (s *State) forgetSessions(link string) {
	for {
		oldest, n := "", 0
		for id, other := range s.sessions {
			if other.link != link {
				continue
			}
			if n++; oldest == "" || other.order < s.sessions[oldest].order {
				oldest = id
			}
		}
		if n <= sessionsKept {
			return
		}
		delete(s.sessions, oldest)
	}
}

// Replaced is the input that says that a session ended because its cluster was restarted: jobs that were still live
// are orphaned. Last is when the old session last answered.
type Replaced struct {
	Session, By string
	Last        time.Time
}

func (in Replaced) apply(s *State, out *Output) {
	n := s.sessions[in.Session]
	if n == nil {
		return
	}
	for id, e := range n.jobs {
		if !e.job.Live() {
			continue
		}
		at := latest(in.Last, e.job.Alive())
		e.job.Join(Observation{
			Submission: id, Source: "api", Forgotten: true, At: at,
			Evidence: "the cluster was started again and knows no such job: session " + in.Session + " became " + in.By + ", it was " +
				string(e.job.Status()) + " when heard last, at " + at.UTC().Format(time.RFC3339),
		})
		s.due(out, e)
	}
}

// entry finds a job or creates it.
func (n *session) entry(submission string) *entry {
	e := n.jobs[submission]
	if e == nil {
		n.room()
		e = &entry{job: Job{Session: n.id, Submission: submission}, published: map[string][sha256.Size]byte{}}
		n.jobs[submission] = e
	}
	return e
}

// room evicts jobs if a session has too many.
func (n *session) room() {
	if len(n.jobs) < jobsKept {
		return
	}
	ids := slices.Collect(maps.Keys(n.jobs))
	slices.SortFunc(ids, func(a, b string) int {
		x, y := &n.jobs[a].job, &n.jobs[b].job
		if x.Live() != y.Live() {
			if y.Live() {
				return -1
			}
			return 1
		}
		return x.alive.Compare(y.alive)
	})
	for _, id := range ids[:len(ids)/10+1] { // evict many at once, since each eviction walks over all jobs
		delete(n.jobs, id)
	}
}

// goneFor is how long a live job must be missing from the list before it counts as forgotten.
const goneFor = 10 * time.Second

// Listed is a cluster's own list of its jobs, all of which were observed before. A live job that was missing for
// goneFor is forgotten.
type Listed struct {
	Cluster, Session string
	Submissions      []string
	At               time.Time
}

func (in Listed) apply(s *State, out *Output) {
	n := s.session(in.Session, in.Cluster)
	for _, id := range in.Submissions {
		if e := n.jobs[id]; e != nil {
			e.listed = in.At
		}
	}
	gone := map[string]time.Time{}
	for id, e := range n.jobs {
		switch {
		case e.listed.IsZero() || e.listed.Equal(in.At):
		case e.job.Live():
			gone[id] = e.listed
		default:
			delete(n.jobs, id) // it has ended, and the cluster no longer lists it
		}
	}
	maps.DeleteFunc(n.missing, func(id string, _ time.Time) bool { _, still := gone[id]; return !still })
	var seen Seen
	for id, last := range gone {
		since, ok := n.missing[id]
		if !ok {
			n.missing[id] = in.At
			continue
		}
		if in.At.Sub(since) >= goneFor {
			delete(n.missing, id)
			seen = append(seen, Observation{
				Cluster: in.Cluster, Session: in.Session, Submission: id, Source: "api", Forgotten: true, At: last,
				Evidence: "the cluster knows no such job any more: its list had it last at " + last.UTC().Format(time.RFC3339),
			})
		}
	}
	seen.apply(s, out)
}
