package relay

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// tracker holds the jobs of all sessions and publishes what is new of them.
type tracker struct {
	rules   Rules
	publish Publisher
	now     func() time.Time
	log     *slog.Logger
	metrics *metrics

	mu       sync.Mutex
	sessions map[string]*session
	order    int // sessions that clusters told of so far
}

// session is one life of a cluster.
type session struct {
	id    string
	link  string // of the dashboard, for pages of jobs; "" while only events told of it
	order int    // among those that clusters told of
	jobs  map[string]*entry
	world
}

// entry is a job with what was published of it.
type entry struct {
	job       Job
	place     Place
	why       string // not relayed, because
	published map[string][sha256.Size]byte
	waiting   *waiting  // as last said; nil: never
	listed    time.Time // when the cluster's list had it last
	dataTold  bool      // its datasets were asked for after its end
	learned   *int      // the tier, of a job that names none
	logged    bool
}

// Found is a job that the relay knows.
type Found struct {
	Cluster, Session, Submission string
	Status                       Status
	Place                        Place
	Why                          string // not relayed, because; "" is relayed
}

func newTracker(rules Rules, p Publisher, now func() time.Time, log *slog.Logger, m *metrics) *tracker {
	return &tracker{rules: rules, publish: p, now: now, log: log, metrics: m, sessions: map[string]*session{}}
}

// session of an observation: sources that can't know it give the cluster's name.
func (t *tracker) session(id, cluster string) *session {
	if id == "" {
		id = "cluster " + cluster
	}
	s := t.sessions[id]
	if s == nil {
		s = &session{id: id, jobs: map[string]*entry{}, world: newWorld()}
		t.sessions[id] = s
	}
	return s
}

func (s *session) entry(submission string) *entry {
	e := s.jobs[submission]
	if e == nil {
		s.room()
		e = &entry{job: Job{Session: s.id, Submission: submission}, published: map[string][sha256.Size]byte{}}
		s.jobs[submission] = e
	}
	return e
}

// observe joins observations and publishes what they say for the first time. It is the Yield of all sources.
func (t *tracker) observe(ctx context.Context, seen ...Observation) error {
	return t.apply(ctx, func() []*entry {
		var touched []*entry
		for _, o := range seen {
			if o.Submission == "" {
				continue
			}
			s := t.session(o.Session, o.Cluster)
			e := s.jobs[o.Submission]
			if e == nil {
				e = s.entry(o.Submission)
				e.job.As = t.again(s, o)
			}
			e.job.Join(o)
			if o.Waits != nil && e.job.Live() {
				e.says(verdict{kind: o.Waits.Kind, who: "entrypoint", since: o.Waits.Since, from: o.At, detail: tidy(o.Waits.Detail)}, o.At)
			}
			if o.JobID != "" {
				s.drivers[o.JobID] = o.Submission
			}
			if !slices.Contains(touched, e) {
				touched = append(touched, e)
			}
		}
		return touched
	})
}

// sameJob is how far apart two sources may put the submission of one job.
const sameJob = 10 * time.Second

// again is the id under which a job is told whose own an earlier session had for another: to Headway one id is one job, and what is
// over stays over.
func (t *tracker) again(s *session, o Observation) string {
	for _, other := range t.sessions {
		if other == s || other.jobs[o.Submission] == nil || other.link == "" || other.link != s.link {
			continue
		}
		before := other.jobs[o.Submission].job.Submitted
		if !o.SubmittedAt.IsZero() && o.SubmittedAt.After(before.Add(sameJob)) {
			sum := sha256.Sum256([]byte(s.id))
			return o.Submission[:min(len(o.Submission), 120)] + "-" + hex.EncodeToString(sum[:3])
		}
	}
	return ""
}

// apply changes entries under the lock, and publishes what is new of them outside of it.
func (t *tracker) apply(ctx context.Context, change func() []*entry) error {
	t.mu.Lock()
	var out []outgoing
	for _, e := range change() {
		out = append(out, t.due(e)...)
	}
	t.mu.Unlock()
	return t.send(ctx, out)
}

// outgoing is an event on its way, and what it will have been published as.
type outgoing struct {
	namespace string
	event     client.Event
	e         *entry
	name      string
	sum       [sha256.Size]byte
}

// due are the facts of a job that aren't published yet, or were with less in them.
func (t *tracker) due(e *entry) []outgoing {
	t.locate(e)
	if e.why != "" {
		return nil
	}
	link := e.job.DashboardURL
	if s := t.sessions[e.job.Session]; link == "" && s != nil && s.link != "" {
		link = s.link + "/#/jobs/" + e.job.Submission
	}
	var out []outgoing
	for _, f := range append(e.job.facts(e.place, link), e.waitFacts(e.job.base(e.place, link, ""))...) {
		if o, ok := e.outgoing(f); ok {
			out = append(out, o)
		}
	}
	return out
}

func (e *entry) outgoing(f fact) (outgoing, bool) {
	body, err := json.Marshal(f.data)
	if err != nil { // plain types, but amounts may not be finite
		return outgoing{}, false
	}
	sum := sha256.Sum256(append(body, f.at.UTC().Format(time.RFC3339Nano)...))
	if e.published[f.name] == sum {
		return outgoing{}, false
	}
	return outgoing{
		namespace: e.place.Namespace, e: e, name: f.name, sum: sum,
		event: client.Event{Batch: e.place.Batch, ID: eventID(e.job.Session, e.job.Submission, f.name), Time: f.at, Data: f.data},
	}, true
}

func (t *tracker) locate(e *entry) {
	e.place, e.why = t.rules.Map(e.job.Submission, e.job.JobName, e.job.Metadata)
	if e.why == "" && e.place.NoTier {
		if e.learned != nil {
			e.place.Tier = *e.learned
		} else {
			e.why = noTier(e.place.Batch)
		}
	}
	if e.why != "" && !e.logged && e.job.Metadata != nil {
		e.logged = true
		t.log.Info("job isn't relayed", "cluster", e.job.Cluster, "job", e.job.Submission, "reason", e.why)
	}
}

// send publishes, by namespace. What Headway would never take is counted and said, and holds nothing up.
func (t *tracker) send(ctx context.Context, out []outgoing) error {
	slices.SortStableFunc(out, func(a, b outgoing) int { return cmp.Compare(a.namespace, b.namespace) })
	for len(out) > 0 {
		n := 1
		for n < len(out) && out[n].namespace == out[0].namespace {
			n++
		}
		if err := t.sendAll(ctx, out[:n]); err != nil {
			return err
		}
		out = out[n:]
	}
	return nil
}

func (t *tracker) sendAll(ctx context.Context, out []outgoing) error {
	events := make([]client.Event, len(out))
	for i, o := range out {
		events[i] = o.event
	}
	err := t.publish.Publish(ctx, out[0].namespace, events...)
	if err != nil && ctx.Err() == nil && len(out) > 1 && refused(err) {
		for i := range out { // one by one, so that a bad one takes none with it
			if err := t.sendAll(ctx, out[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	kind := strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", out[0].event.Data), "*client."))
	switch {
	case err == nil:
		t.metrics.published.WithLabelValues(kind).Add(float64(len(out)))
	case refused(err):
		t.metrics.refused.WithLabelValues(kind).Inc()
		t.log.Error("event refused", "event", out[0].event.ID, "error", err)
	default:
		return fmt.Errorf("relay: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range out {
		o.e.published[o.name] = o.sum
	}
	return nil
}

// refused: trying again is of no use.
func refused(err error) bool {
	var r *diagnostics.Rejection
	return errors.As(err, &r) || errors.Is(err, client.ErrRejected)
}

// found lists all jobs.
func (t *tracker) found() []Found {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Found
	for _, s := range t.sessions {
		for _, e := range s.jobs {
			t.locate(e)
			out = append(out, Found{e.job.Cluster, s.id, e.job.Submission, e.job.Status(), e.place, e.why})
		}
	}
	slices.SortFunc(out, func(a, b Found) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Session, b.Session), cmp.Compare(a.Submission, b.Submission))
	})
	return out
}

// hear notes exported events, and returns what they say of jobs, which submissions of which session may be over or wait, and how many of
// the events were of use.
func (t *tracker) hear(clusterOf func(string) string, events []rayapi.Exported) (seen []Observation, hints map[string][]string, use int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	hints = map[string][]string{}
	for _, e := range events {
		if e.Session == "" {
			continue
		}
		cluster := clusterOf(e.Session)
		s := t.session(e.Session, cluster)
		more, over := s.take(cluster, e)
		seen = append(seen, more...)
		if e.Actor == nil && e.Driver == nil && e.Node == nil && e.Worker == nil && (len(e.States) == 0 || e.Type == "TASK_LIFECYCLE_EVENT") {
			continue
		}
		use++
		if over != "" {
			hints[e.Session] = append(hints[e.Session], over)
		} else if _, ok := hints[e.Session]; !ok {
			hints[e.Session] = nil // something happened: look why jobs wait
		}
	}
	return seen, hints, use
}
