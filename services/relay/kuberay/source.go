package kuberay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/headwayhq/headway/services/relay"
)

// Options of a Source. HTTP and URL are required.
type Options struct {
	HTTP      *http.Client  // handles the credentials
	URL       *url.URL      // of the API server
	Namespace string        // namespace of the RayJobs; default: all that the account may read
	Pods      time.Duration // how often the pods of starting clusters are read; default 5 s
	Resync    time.Duration // how often every object is evaluated again; default 5 min
	Retry     time.Duration // delay before a watch that ended is resumed, doubled up to 30 s while that is rejected; default 1 s
	Now       func() time.Time
	Logger    *slog.Logger
}

// Source watches RayJobs. It implements relay.Source.
type Source struct {
	o      Options
	server server
	jobs   map[string]*watched // by namespace and name; used by Run only
	mute   bool                // the missing permission to list pods was already logged
}

// watched is an object as it was last seen.
type watched struct {
	job  *rayJob
	held *relay.Observation // a failure that is held back because the job is about to be retried
	said *relay.Observation // the last published observation of the present submission
}

// New makes a source.
func New(o Options) *Source {
	if o.Pods <= 0 {
		o.Pods = 5 * time.Second
	}
	if o.Resync <= 0 {
		o.Resync = 5 * time.Minute
	}
	if o.Retry <= 0 {
		o.Retry = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Source{o: o, server: server{http: o.HTTP, url: o.URL}, jobs: map[string]*watched{}}
}

// Check returns the number of RayJobs, or an error if they can't be read.
func (s *Source) Check(ctx context.Context) (int, error) {
	list, err := s.server.list(ctx, s.rayJobs(), nil)
	switch {
	case refused(err, http.StatusNotFound):
		return 0, errors.New("kuberay: the API server knows no RayJob (ray.io/v1): is KubeRay installed?")
	case refused(err, http.StatusForbidden):
		return 0, fmt.Errorf("kuberay: the account needs the verbs list and watch on rayjobs.ray.io: %w", err)
	case err != nil:
		return 0, fmt.Errorf("kuberay: %w", err)
	}
	return len(list.Items), nil
}

func (s *Source) rayJobs() string {
	if s.o.Namespace == "" {
		return "apis/ray.io/v1/rayjobs"
	}
	return "apis/ray.io/v1/namespaces/" + s.o.Namespace + "/rayjobs"
}

// Run watches until ctx ends, and evaluates all objects again every Resync.
func (s *Source) Run(ctx context.Context, yield relay.Yield) error {
	changes := make(chan change)
	done := make(chan struct{})
	go func() { defer close(done); s.follow(ctx, changes) }()
	defer func() { <-done }()
	pods, resync := time.NewTicker(s.o.Pods), time.NewTicker(s.o.Resync)
	defer pods.Stop()
	defer resync.Stop()
	for {
		var seen []relay.Observation
		select {
		case <-ctx.Done():
			s.giveUp(yield)
			return nil
		case c := <-changes:
			seen = s.take(ctx, c)
		case <-pods.C:
			seen = s.lookAgain(ctx, starting)
		case <-resync.C:
			seen = s.lookAgain(ctx, func(*rayJob) bool { return true })
		}
		if len(seen) == 0 {
			continue
		}
		if err := yield(ctx, seen...); err != nil {
			if ctx.Err() != nil {
				continue
			}
			return err
		}
	}
}

// take returns the observations that follow from a change. An object that is missing from a whole list was deleted.
func (s *Source) take(ctx context.Context, c change) (seen []relay.Observation) {
	if c.all != nil {
		for key, w := range s.jobs {
			if !c.all[key] {
				delete(s.jobs, key)
				seen = append(seen, w.gone(s.o.Now())...)
			}
		}
	}
	for _, j := range c.jobs {
		w := s.jobs[j.key()]
		if w == nil || w.job.Metadata.UID != j.Metadata.UID {
			w = &watched{}
			s.jobs[j.key()] = w
		}
		w.job = j
		if c.gone {
			delete(s.jobs, j.key())
			return w.gone(s.o.Now())
		}
		seen = append(seen, w.look(s.pods(ctx, j))...)
	}
	return seen
}

// look returns the observations that the object yields, if they are new or name another cause of waiting.
func (w *watched) look(pods []pod) (seen []relay.Observation) {
	o, ok := w.job.observe(pods)
	if w.held != nil && (!w.job.retrying() && ok && o.Submission != w.held.Submission || w.job.over()) {
		seen, w.held = append(seen, *w.held), nil
	}
	switch {
	case !ok:
		return seen
	case w.job.retrying():
		w.held = &o
		return seen
	case w.held != nil && o.Submission == w.held.Submission:
		return seen // Retrying: the id of the next submission isn't known yet
	}
	w.said = &o
	return append(seen, o)
}

// gone returns the observations for a deleted object: its job ends with it.
func (w *watched) gone(now time.Time) []relay.Observation {
	if w.held != nil {
		return []relay.Observation{*w.held}
	}
	if w.said == nil || w.said.Status.Terminal() {
		return nil
	}
	o := *w.said
	o.Waits, o.Status, o.Forgotten = nil, "", true
	o.At = now
	if t := w.job.Metadata.DeletionTimestamp; t != nil {
		o.At = t.UTC()
	}
	o.Evidence = fmt.Sprintf("RayJob %s/%s was deleted while %s", w.job.Metadata.Namespace, w.job.Metadata.Name, w.said.Status)
	return []relay.Observation{o}
}

// lookAgain evaluates the wanted objects again, as last received, together with the present pods of clusters that are
// starting.
func (s *Source) lookAgain(ctx context.Context, wanted func(*rayJob) bool) (seen []relay.Observation) {
	for _, w := range s.jobs {
		if wanted(w.job) {
			seen = append(seen, w.look(s.pods(ctx, w.job))...)
		}
	}
	return seen
}

func starting(j *rayJob) bool {
	return j.Status.ClusterName != "" && !j.over() && !j.retrying() && j.status() == relay.Pending
}

// pods returns the pods of a cluster that is starting, or none if the account may not list them.
func (s *Source) pods(ctx context.Context, j *rayJob) []pod {
	if !starting(j) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	list, err := s.server.list(ctx, "api/v1/namespaces/"+j.Metadata.Namespace+"/pods", url.Values{"labelSelector": {"ray.io/cluster=" + j.Status.ClusterName}})
	if err != nil {
		if !s.mute && ctx.Err() == nil {
			s.mute = true
			s.o.Logger.Info("listing pods failed, reasons why pods don't start are unknown", "error", err)
		}
		return nil
	}
	s.mute = false
	return decodePods(list.Items)
}

// giveUp yields the failures that were held back, when the source stops: a later watcher would only see the id of the
// retry.
func (s *Source) giveUp(yield relay.Yield) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, w := range s.jobs {
		if w.held != nil {
			_ = yield(ctx, *w.held)
		}
	}
}
