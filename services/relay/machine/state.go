package machine

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"github.com/headwayhq/headway/pkg/client"
)

// State is everything that is known of the jobs of all clusters.
type State struct {
	rules    Rules
	sessions map[string]*session
	names    map[string]string // of clusters, by the address of their dashboard
	order    int               // number of sessions that clusters reported so far
}

// session is one lifetime of a cluster, from the start of its head node to the next.
type session struct {
	id      string
	link    string // of the dashboard, for pages of jobs; "" while the session is known from events only
	order   int    // position among the sessions that clusters reported
	jobs    map[string]*entry
	missing map[string]time.Time // live jobs that are missing from the cluster's list, and since when
	outside bool                 // of a source outside of any cluster
	world
}

// entry is a job, with what was already published of it.
type entry struct {
	job       Job
	place     Place  // derived from the job's names and metadata
	why       string // why it isn't relayed
	published map[string][sha256.Size]byte
	waiting   *waiting  // as last published; nil: never
	inside    *heard    // what its cluster says of its wait; nil: nothing yet
	outside   *heard    // what a source outside of its cluster says
	lines     *fact     // the last lines of a container, as seen last
	kills     []kill    // of its workers, for memory, the latest last
	loop      *loop     // what of it is begun again and again; nil: nothing
	listed    time.Time // when the job was last in the cluster's list
	dataTold  bool      // its datasets were requested after its end
	learned   *int      // tier of a job that names none, taken from its datasets
	reported  bool      // already put out in Output.Unplaced
}

// New returns an empty state. The rules must be compiled.
func New(rules Rules) *State {
	return &State{rules: rules, sessions: map[string]*session{}, names: map[string]string{}}
}

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
		if e.lines != nil {
			e.dueFact(out, *e.lines)
		}
	}
}

func (s *State) linkOf(e *entry) string {
	if n := s.sessions[e.job.Session]; n != nil && n.link != "" { // the address by which this relay reaches it
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
		Event: client.Event{Batch: e.place.Batch, ID: e.job.eventID(f.name), Time: f.at, Data: f.data},
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
		n, e := s.find(&o, &touched)
		if !o.Run.IsZero() && !e.job.Run.IsZero() {
			switch apart := o.Run.Sub(e.job.Run); {
			case apart < -sameRun:
				continue // of a job that had the id before
			case apart > sameRun:
				s.reused(n, e, o, out)
				e = n.entry(o.Submission)
			}
		}
		e.job.Join(o)
		late := o.Outside && o.Status != "" && o.Status != e.job.Status() // its cluster knows better already
		if o.Waits != nil && e.job.Live() && !late {
			e.hears(o.Outside, o.Waits.verdict(o.At), o.At, false)
		}
		if o.Lines != nil {
			e.shows(&o)
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

// sameRun is the largest difference between the submission times that two sources give for the same job.
const sameRun = time.Second

// reused ends the job that had a submission id before: Ray lets an id be used again once its job was deleted.
func (s *State) reused(n *session, e *entry, o Observation, out *Output) {
	if e.job.Live() {
		at := e.job.Alive()
		e.job.Join(Observation{
			Submission: o.Submission, Source: o.Source, Forgotten: true, At: at,
			Evidence: "the cluster has another job of this id, submitted at " + o.Run.UTC().Format(time.RFC3339) + "; this one was " +
				string(e.job.Status()) + " when heard last, at " + at.UTC().Format(time.RFC3339),
		})
		s.due(out, e)
	}
	delete(n.jobs, o.Submission)
	delete(n.missing, o.Submission)
}
