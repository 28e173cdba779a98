package relay

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/headwayhq/headway/services/relay/rayapi"
)

// joins notes which cluster a session is a life of, for its jobs' names and links.
func (t *tracker) joins(session, cluster, link string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.session(session, cluster)
	if s.link == "" {
		t.order++
		s.order = t.order
	}
	s.link = link
	t.forgetSessions(link)
	for _, e := range s.jobs {
		e.job.Cluster = max(e.job.Cluster, cluster)
	}
}

// Bounds of what is remembered.
const (
	sessionsKept = 4      // of a cluster: earlier ones only tell which ids were used
	jobsKept     = 20_000 // of a session: beyond it those go first that are over, then those heard of longest ago
)

func (t *tracker) forgetSessions(link string) {
	for {
		oldest, n := "", 0
		for id, s := range t.sessions {
			if s.link != link {
				continue
			}
			if n++; oldest == "" || s.order < t.sessions[oldest].order {
				oldest = id
			}
		}
		if n <= sessionsKept {
			return
		}
		delete(t.sessions, oldest)
	}
}

// room makes room for another job.
func (s *session) room() {
	if len(s.jobs) < jobsKept {
		return
	}
	ids := slices.Collect(maps.Keys(s.jobs))
	slices.SortFunc(ids, func(a, b string) int {
		x, y := &s.jobs[a].job, &s.jobs[b].job
		if x.Live() != y.Live() {
			if y.Live() {
				return -1
			}
			return 1
		}
		return x.alive.Compare(y.alive)
	})
	for _, id := range ids[:len(ids)/10+1] { // many at once: it is a walk over all
		delete(s.jobs, id)
	}
}

// lacks: a job that the list had before and that lives isn't in it.
func (t *tracker) lacks(session string, jobs []rayapi.Job) bool {
	in := make(map[string]bool, len(jobs))
	for i := range jobs {
		in[jobs[i].SubmissionID] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sessions[session]
	if s == nil {
		return false
	}
	for id, e := range s.jobs {
		if !e.listed.IsZero() && e.job.Live() && !in[id] {
			return true
		}
	}
	return false
}

// listed notes which jobs a list has, and returns the live ones that it had before and now lacks, with when it had them last.
func (t *tracker) listed(session string, seen []Observation, at time.Time) (gone map[string]time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.session(session, "")
	for _, o := range seen {
		s.entry(o.Submission).listed = at
	}
	relayed, not := 0, 0
	for id, e := range s.jobs {
		switch {
		case e.listed.IsZero() || e.listed.Equal(at):
		case e.job.Live():
			if gone == nil {
				gone = map[string]time.Time{}
			}
			gone[id] = e.listed
		default:
			delete(s.jobs, id) // over, and the cluster has forgotten it too
			continue
		}
		if e.why == "" {
			relayed++
		} else {
			not++
		}
	}
	t.metrics.jobs.WithLabelValues("yes").Set(float64(relayed))
	t.metrics.jobs.WithLabelValues("no").Set(float64(not))
	return gone
}

// ended concludes a session that a new one has taken the place of: what still lived then is orphaned. last is when the old
// session was heard last.
func (t *tracker) ended(ctx context.Context, old, now string, last time.Time) error {
	return t.apply(ctx, func() (touched []*entry) {
		s := t.sessions[old]
		if s == nil {
			return nil
		}
		for id, e := range s.jobs {
			if !e.job.Live() {
				continue
			}
			at := latest(last, e.job.Alive())
			e.job.Join(Observation{
				Submission: id, Source: "api", Forgotten: true, At: at,
				Evidence: "the cluster was started again and knows no such job: session " + old + " became " + now + ", it was " +
					string(e.job.Status()) + " when heard last, at " + at.UTC().Format(time.RFC3339),
			})
			touched = append(touched, e)
		}
		return touched
	})
}

// needs is what is worth asking a cluster for.
type needs struct {
	live    bool
	waiting bool     // a relayed job is PENDING, waits for something, or has just changed
	running []string // job ids of relayed jobs that run
}

func (t *tracker) needs(session string, now time.Time) (n needs) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sessions[session]
	if s == nil {
		return n
	}
	for _, e := range s.jobs {
		if !e.job.Live() {
			continue
		}
		if t.locate(e); e.why != "" {
			continue
		}
		n.live = true
		status := e.job.Status()
		said := e.waiting != nil && e.waiting.status == status && e.waiting.kind != ""
		young := now.Sub(earliest(e.job.started, e.job.startSeen)) < youngFor
		n.waiting = n.waiting || status == Pending || said || young
		if id, _ := e.job.JobID(); status == Running && id != "" {
			n.running = append(n.running, id)
		}
	}
	slices.Sort(n.running)
	return n
}

// heardWaiting are the waiting actors that events told of.
func (t *tracker) heardWaiting(session string) []rayapi.Actor {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.sessions[session]; s != nil {
		return s.waiting()
	}
	return nil
}

// lastWord is how long after its end a job's datasets are still asked for, once: between two looks the last rows come, and a relay
// that was down has missed more. Ray keeps them while the cluster lives.
const lastWord = time.Hour

// dataJobs are the relayed jobs whose datasets are worth asking for, by job id.
func (t *tracker) dataJobs(session string, now time.Time) map[string]dataJob {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]dataJob{}
	if s := t.sessions[session]; s != nil {
		for submission, e := range s.jobs {
			id, _ := e.job.JobID()
			over := e.job.Status().Terminal()
			if id == "" || over && (e.dataTold || now.Sub(e.job.ends[0].at) > lastWord) || !over && e.job.Status() != Running {
				continue
			}
			if t.locate(e); e.why == "" || e.place.NoTier {
				out[id] = dataJob{submission, over}
			}
		}
	}
	return out
}

// dataJob is a job whose datasets are asked for; over: for the last time.
type dataJob struct {
	submission string
	over       bool
}

// dataTold notes that a job's datasets were asked for after its end.
func (t *tracker) dataTold(session, submission string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.sessions[session]; s != nil && s.jobs[submission] != nil {
		s.jobs[submission].dataTold = true
	}
}
