package kuberay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/headwayhq/headway/services/relay"
)

// Options of a Source. HTTP and URL are required.
type Options struct {
	HTTP      *http.Client  // handles the credentials
	URL       *url.URL      // of the API server
	Namespace string        // namespace of the RayJobs; default: all that the account may read
	Tick      time.Duration // how often live jobs are judged again, since some causes take time to be one; default 5 s
	Resync    time.Duration // how often every object is told again; default 5 min
	Retry     time.Duration // delay before a watch that ended is resumed, doubled up to 30 s while that is rejected; default 1 s
	Denied    time.Duration // delay before a resource that may not be read or isn't installed is tried again; default 5 min
	Places    time.Duration // how often places in queues are asked for; default 1 min
	Now       func() time.Time
	Logger    *slog.Logger
}

// Source watches RayJobs, and what says why they don't get on. It implements relay.Source.
type Source struct {
	o      Options
	server server

	// Used by Run only.
	jobs   map[string]*watched // by namespace/name
	of     map[string]string   // the RayJob's key, by what may belong to it
	store  *store
	placed time.Time
	logs   *logs
}

// New makes a source.
func New(o Options) *Source {
	for at, by := range map[*time.Duration]time.Duration{
		&o.Tick: 5 * time.Second, &o.Resync: 5 * time.Minute, &o.Retry: time.Second, &o.Denied: 5 * time.Minute, &o.Places: placesEvery,
	} {
		if *at <= 0 {
			*at = by
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Source{o: o, server: server{http: o.HTTP, url: o.URL}, jobs: map[string]*watched{}, of: map[string]string{}, store: newStore(), logs: newLogs()}
}

// Check returns the number of RayJobs, or an error if they can't be read.
func (s *Source) Check(ctx context.Context) (int, error) {
	list, err := s.server.list(ctx, rayJobs.path(rayJobs.groups[0], s.o.Namespace), nil)
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

// Requests is how many requests were made to the API server so far.
func (s *Source) Requests() int64 { return s.server.asked.Load() }

// Run watches until ctx ends, and tells all objects again every Resync.
func (s *Source) Run(ctx context.Context, yield relay.Yield) error {
	r := &run{Source: s, changes: make(chan change), places: make(chan placed), lines: make(chan relay.Observation)}
	defer r.followers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.follow(ctx, &rayJobs)
	tick, resync := time.NewTicker(s.o.Tick), time.NewTicker(s.o.Resync)
	defer tick.Stop()
	defer resync.Stop()
	for {
		var seen []relay.Observation
		select {
		case <-ctx.Done():
			s.giveUp(yield)
			return nil
		case c := <-r.changes:
			seen = s.take(c)
			r.start(ctx, c)
		case p := <-r.places:
			s.store.places[p.queue] = p.places
			seen = s.lookAgain((*watched).live, false)
		case o := <-r.lines:
			seen = []relay.Observation{o}
		case <-tick.C:
			s.store.prune(s.o.Now())
			seen = s.lookAgain((*watched).live, false)
			r.ask(ctx)
		case <-resync.C:
			seen = s.lookAgain(func(*watched) bool { return true }, true)
		}
		r.readLogs(ctx)
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

// take returns the observations that follow from a change.
func (s *Source) take(c change) (seen []relay.Observation) {
	if c.lacks != "" || c.absent {
		return s.unreadable(c)
	}
	delete(s.store.lacks, c.of.name)
	delete(s.store.absent, c.of.name)
	s.store.known[c.of.id] = true
	if c.of.id == rayJobs.id {
		return s.takeJobs(c)
	}
	concerned, listed := map[string]bool{}, map[string]bool{}
	for _, object := range c.objects {
		if c.of.id == "submitters" && !s.submits(object) {
			continue
		}
		what, err := s.store.take(c.of, object, c.gone)
		if err != nil {
			s.o.Logger.Warn("reading Kubernetes object failed", "resource", c.of.name, "error", err)
		}
		concerned[what] = true
		if c.whole {
			listed[keyOf(object)] = true
		}
	}
	if c.whole {
		for _, what := range s.store.keepOnly(c.of, listed) {
			concerned[what] = true
		}
	}
	jobs := map[string]bool{}
	for what := range concerned {
		if key, ok := s.of[s.store.owner(what)]; ok {
			jobs[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(jobs)) {
		seen = append(seen, s.look(s.jobs[key], false)...)
	}
	return seen
}

// unreadable notes that a resource can't be read, and says so once.
func (s *Source) unreadable(c change) []relay.Observation {
	s.store.keepOnly(c.of, nil) // what isn't followed any more is out of date
	s.store.known[c.of.id] = true
	if c.absent {
		s.store.absent[c.of.name] = true
		delete(s.store.lacks, c.of.name)
		return nil
	}
	if s.store.lacks[c.of.name] != c.lacks {
		s.o.Logger.Warn("Kubernetes objects can't be read, some causes of waiting stay unknown", "resource", c.of.name, "reason", c.lacks)
	}
	s.store.lacks[c.of.name] = c.lacks
	return s.lookAgain((*watched).live, false)
}

// takeJobs takes RayJobs. One that is missing from a whole list was deleted.
func (s *Source) takeJobs(c change) (seen []relay.Observation) {
	listed := map[string]bool{}
	for _, object := range c.objects {
		j, err := decode(object)
		listed[j.key()] = true
		if err != nil {
			s.o.Logger.Warn("reading RayJob failed", "error", err)
			continue
		}
		w := s.jobs[j.key()]
		if w == nil || w.job.Metadata.UID != j.Metadata.UID {
			w = &watched{}
			s.jobs[j.key()] = w
		}
		if w.job = j; c.gone {
			seen = append(seen, s.forget(j.key())...)
			continue
		}
		for _, what := range j.belongings() {
			s.of[what] = j.key()
		}
		seen = append(seen, s.look(w, true)...)
	}
	if c.whole {
		for key := range s.jobs {
			if !listed[key] {
				seen = append(seen, s.forget(key)...)
			}
		}
	}
	return seen
}

func (s *Source) forget(key string) []relay.Observation {
	w := s.jobs[key]
	delete(s.jobs, key)
	for what, of := range s.of {
		if of == key {
			delete(s.of, what)
		}
	}
	return w.gone(s.o.Now())
}

// look judges a job. Unless it has to, it says nothing that it said before.
func (s *Source) look(w *watched, must bool) []relay.Observation {
	now, before := s.o.Now(), w.said
	var end *ended
	seen := w.look(now, func() *relay.Waits {
		if !s.store.complete() {
			return nil
		}
		at := s.store.situation(w.job, now)
		waits := at.waits()
		end = at.ended
		return waits
	})
	of := w.said
	if w.held != nil {
		of = w.held
	}
	if of != nil && s.logs.may != nil {
		if of.Status == relay.Failed {
			end = s.store.situation(w.job, now).failure()
		}
		s.logs.want(end, of, now)
	}
	if !must && len(seen) == 1 && same(before, &seen[0]) {
		return nil
	}
	return seen
}

func (s *Source) lookAgain(wanted func(*watched) bool, must bool) (seen []relay.Observation) {
	for _, w := range s.jobs {
		if wanted(w) {
			seen = append(seen, s.look(w, must)...)
		}
	}
	return seen
}

func (w *watched) live() bool {
	return !w.job.over() && !w.job.retrying() && !w.job.status().Terminal()
}

// submits reports whether a pod belongs to a RayJob that is known, so that pods of other Jobs aren't kept.
func (s *Source) submits(object []byte) bool {
	p, err := decodeAs[pod](object)
	return err == nil && s.of[p.belongs()] != ""
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
