package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/headwayhq/headway/pkg/client"
)

// State is everything that is known of the jobs of all clusters.
type State struct {
	rules    Rules
	sessions map[string]*session
	order    int // number of sessions that clusters reported so far
}

// session is one lifetime of a cluster, from the start of its head node to the next.
type session struct {
	id      string
	link    string // of the dashboard, for pages of jobs; "" while the session is known from events only
	order   int    // position among the sessions that clusters reported
	jobs    map[string]*entry
	missing map[string]time.Time // live jobs that are missing from the cluster's list, and since when
	world
}

// entry is a job, with what was already published of it.
type entry struct {
	job       Job
	place     Place  // derived from the job's names and metadata
	why       string // why it isn't relayed
	published map[string][sha256.Size]byte
	waiting   *waiting  // as last published; nil: never
	kills     []kill    // of its workers, for memory, the latest last
	listed    time.Time // when the job was last in the cluster's list
	dataTold  bool      // its datasets were requested after its end
	learned   *int      // tier of a job that names none, taken from its datasets
	reported  bool      // already put out in Output.Unplaced
}

// New returns an empty state. The rules must be compiled.
func New(rules Rules) *State { return &State{rules: rules, sessions: map[string]*session{}} }

// Output is the result of an input.
type Output struct {
	Events []Event // due now
	// Unplaced are jobs that can't be assigned to a batch and tier. Each is put out once.
	Unplaced []Found
	// Hints are the submissions that may have ended, by session. A session without submissions has jobs whose waits
	// are worth a look.
	Hints map[string][]string
	// Used is how many exported events contained something relevant.
	Used int
}

// Event is an event that is due. It stays due until it comes back in a Kept input.
type Event struct {
	Namespace string
	client.Event

	job  *entry
	fact string
	sum  [sha256.Size]byte
}

// Input is one thing that was learned. All inputs are types of this package.
type Input interface {
	apply(s *State, out *Output)
}

// Step applies an input.
func (s *State) Step(in Input) Output {
	var out Output
	in.apply(s, &out)
	return out
}

// session returns the session of an observation. Sources that can't know the session give the cluster's name.
func (s *State) session(id, cluster string) *session {
	if id == "" {
		id = "cluster " + cluster
	}
	n := s.sessions[id]
	if n == nil {
		n = &session{id: id, jobs: map[string]*entry{}, missing: map[string]time.Time{}, world: newWorld()}
		s.sessions[id] = n
	}
	return n
}

// Kept is the input with the events whose publication was acknowledged.
type Kept []Event

func (k Kept) apply(*State, *Output) {
	for _, e := range k {
		e.job.published[e.fact] = e.sum
	}
}

// due puts out the facts of jobs that weren't published yet, or with less content.
func (s *State) due(out *Output, touched ...*entry) {
	for _, e := range touched {
		s.locate(e)
		if e.why != "" {
			if !e.reported && e.job.Metadata != nil {
				e.reported = true
				out.Unplaced = append(out.Unplaced, e.found())
			}
			continue
		}
		link := s.linkOf(e)
		for _, f := range append(e.job.facts(e.place, link), e.waitFacts(e.job.base(e.place, link, ""))...) {
			e.dueFact(out, f)
		}
	}
}

func (s *State) linkOf(e *entry) string {
	if n := s.sessions[e.job.Session]; e.job.DashboardURL == "" && n != nil && n.link != "" {
		return n.link + "/#/jobs/" + e.job.Submission
	}
	return e.job.DashboardURL
}

func (e *entry) dueFact(out *Output, f fact) {
	body, err := json.Marshal(f.data)
	if err != nil { // the types are plain, but amounts may not be finite
		return
	}
	sum := sha256.Sum256(append(body, f.at.UTC().Format(time.RFC3339Nano)...))
	if e.published[f.name] == sum {
		return
	}
	out.Events = append(out.Events, Event{
		Namespace: e.place.Namespace, job: e, fact: f.name, sum: sum,
		Event: client.Event{Batch: e.place.Batch, ID: eventID(e.job.Session, e.job.Submission, f.name), Time: f.at, Data: f.data},
	})
}

// locate decides where a job belongs. It runs after each input that concerns the job.
func (s *State) locate(e *entry) {
	e.place, e.why = s.rules.Map(e.job.Submission, e.job.JobName, e.job.Metadata)
	if e.why == "" && e.place.NoTier {
		if e.learned != nil {
			e.place.Tier = *e.learned
		} else {
			e.why = NoTier(e.place.Batch)
		}
	}
}

// Seen is the input with observations of jobs, from any source.
type Seen []Observation

func (in Seen) apply(s *State, out *Output) {
	var touched []*entry
	for _, o := range in {
		if o.Submission == "" {
			continue
		}
		n := s.session(o.Session, o.Cluster)
		e := n.jobs[o.Submission]
		if e == nil {
			e = n.entry(o.Submission)
			e.job.As = s.again(n, o)
		}
		e.job.Join(o)
		if o.Waits != nil && e.job.Live() {
			e.says(verdict{kind: o.Waits.Kind, who: "entrypoint", since: o.Waits.Since, from: o.At, detail: tidy(o.Waits.Detail)}, o.At, true)
		}
		if o.JobID != "" {
			n.drivers[o.JobID] = o.Submission
		}
		if !slices.Contains(touched, e) {
			touched = append(touched, e)
		}
	}
	s.due(out, touched...)
}

// sameJob is the largest difference between the submission times that two sources give for the same job.
const sameJob = 10 * time.Second

// again returns the id to publish a job under if an earlier session had another job of the same id. In Headway one id
// is one job, and an ended job can't start again.
func (s *State) again(n *session, o Observation) string {
	for _, other := range s.sessions {
		if other == n || other.jobs[o.Submission] == nil || other.link == "" || other.link != n.link {
			continue
		}
		before := other.jobs[o.Submission].job.Submitted
		if !o.SubmittedAt.IsZero() && o.SubmittedAt.After(before.Add(sameJob)) {
			sum := sha256.Sum256([]byte(n.id))
			return o.Submission[:min(len(o.Submission), 120)] + "-" + hex.EncodeToString(sum[:3])
		}
	}
	return ""
}
