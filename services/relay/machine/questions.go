package machine

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Found is a known job.
type Found struct {
	Cluster, Session, Submission string
	Status                       Status
	Place                        Place
	Why                          string // why it isn't relayed; "" if it is
}

func (e *entry) found() Found {
	return Found{e.job.Cluster, e.job.Session, e.job.Submission, e.job.Status(), e.place, e.why}
}

// Found lists all jobs.
func (s *State) Found() []Found {
	var out []Found
	for _, n := range s.sessions {
		for _, e := range n.jobs {
			out = append(out, e.found())
		}
	}
	slices.SortFunc(out, func(a, b Found) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Session, b.Session), cmp.Compare(a.Submission, b.Submission))
	})
	return out
}

// Counts returns how many jobs of a session's list are relayed, and how many aren't.
func (s *State) Counts(session string) (relayed, not int) {
	n := s.sessions[session]
	if n == nil {
		return 0, 0
	}
	for _, e := range n.jobs {
		if e.why == "" {
			relayed++
		} else {
			not++
		}
	}
	return relayed, not
}

// Lacks reports whether a live job that the previous list had isn't among these.
func (s *State) Lacks(session string, jobs []rayapi.Job) bool {
	n := s.sessions[session]
	if n == nil {
		return false
	}
	in := make(map[string]bool, len(jobs))
	for i := range jobs {
		in[jobs[i].SubmissionID] = true
	}
	for id, e := range n.jobs {
		if !e.listed.IsZero() && e.job.Live() && !in[id] {
			return true
		}
	}
	return false
}

// Missing reports whether a live job was missing from the session's last list. Until that is resolved every list is
// processed, even an unchanged one.
func (s *State) Missing(session string) bool {
	n := s.sessions[session]
	return n != nil && len(n.missing) > 0
}

// YoungFor is how long after a change another one is likely, since jobs start and end in steps.
const YoungFor = 15 * time.Second

// Needs is what is worth requesting from a cluster.
type Needs struct {
	Live    bool
	Waiting bool     // a relayed job is PENDING, waits for something, or has just changed
	Running []string // job ids of relayed jobs that are running
	// Unchanged is for how long nothing was learned about any of them.
	Unchanged time.Duration
}

const unchangedMost = time.Hour

// Waiting reports whether a look found anything that waits.
func Waiting(l *Look) bool {
	return len(l.Actors)+len(l.Tasks) > 0 || slices.ContainsFunc(l.Groups, func(g rayapi.PlacementGroup) bool { return g.Waits() })
}

// Taken names what waits for something that others hold, so that it is worth asking who does; "" if nothing does.
func (s *State) Taken(session string, l Look) string {
	n := s.sessions[session]
	if n == nil {
		return ""
	}
	r := n.read(l)
	var names []string
	for _, w := range r.moment.Waits {
		nodes := r.moment.Nodes
		if w.Group == "" {
			nodes = r.moment.nodesFor(Bundle{w.Shape, w.Labels}, w.Fallback)
		}
		if len(nodes) > 0 && r.moment.inVain(w, nodes) {
			names = append(names, w.Submission+" "+w.Who+" "+w.Since.String())
		}
	}
	return strings.Join(names, "\n")
}

// Needs returns what is worth requesting for a session as of now.
func (s *State) Needs(session string, now time.Time) (out Needs) {
	n := s.sessions[session]
	if n == nil {
		return out
	}
	out.Unchanged = unchangedMost
	for _, e := range n.jobs {
		if !e.job.Live() || e.why != "" {
			continue
		}
		out.Live = true
		changed := latest(e.job.begun(), latest(e.job.started, e.job.startSeen))
		if e.waiting != nil {
			changed = latest(changed, e.waiting.at)
		}
		out.Unchanged = min(out.Unchanged, max(0, now.Sub(changed)))
		status := e.job.Status()
		said := e.waiting != nil && e.waiting.status == status && e.waiting.kind != ""
		young := now.Sub(earliest(e.job.started, e.job.startSeen)) < YoungFor
		out.Waiting = out.Waiting || status == Pending || said || young
		if id, _ := e.job.JobID(); status == Running && id != "" {
			out.Running = append(out.Running, id)
		}
	}
	slices.Sort(out.Running)
	return out
}

// HeardWaiting returns the waiting actors that exported events reported.
func (s *State) HeardWaiting(session string) []rayapi.Actor {
	if n := s.sessions[session]; n != nil {
		return n.waiting()
	}
	return nil
}

// lastWord is how long after its end a job's datasets are still requested, once: the last rows may come between two
// polls, and a relay that was down has missed more. Ray keeps the data while the cluster lives.
const lastWord = time.Hour

// DataJob is a job whose datasets are worth requesting.
type DataJob struct {
	Submission string
	Over       bool // this is the last request
}

// DataJobs returns the relayed jobs whose datasets are worth requesting, by job id.
func (s *State) DataJobs(session string, now time.Time) map[string]DataJob {
	out := map[string]DataJob{}
	n := s.sessions[session]
	if n == nil {
		return out
	}
	for submission, e := range n.jobs {
		id, _ := e.job.JobID()
		over := e.job.Status().Terminal()
		if id == "" || over && (e.dataTold || now.Sub(e.job.ends[0].at) > lastWord) || !over && e.job.Status() != Running {
			continue
		}
		if e.why == "" || e.place.NoTier {
			out[id] = DataJob{submission, over}
		}
	}
	return out
}
