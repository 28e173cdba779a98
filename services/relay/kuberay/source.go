package kuberay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"

	"github.com/headwayhq/headway/services/relay"
)

var (
	rayJobs = schema.GroupVersionResource{Group: "ray.io", Version: "v1", Resource: "rayjobs"}
	podsV1  = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// Options of a Source. Client is required.
type Options struct {
	Client    dynamic.Interface
	Namespace string        // of the RayJobs; default: all that the account may see
	Pods      time.Duration // how often the pods of clusters that start are looked at; default 5 s
	Resync    time.Duration // how often every object is looked at again; default 5 min
	Now       func() time.Time
	Logger    *slog.Logger
}

// Source watches RayJobs. It is a relay.Source.
type Source struct {
	o    Options
	jobs map[string]*watched // by namespace and name; Run's own
	mute bool                // that pods may not be listed was said
}

// watched is an object as it was seen last.
type watched struct {
	job  *rayJob
	held *relay.Observation // a failure that is about to be tried again
	said *relay.Observation // of the present submission, last
}

// New makes a source.
func New(o Options) *Source {
	if o.Pods <= 0 {
		o.Pods = 5 * time.Second
	}
	if o.Resync <= 0 {
		o.Resync = 5 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Source{o: o, jobs: map[string]*watched{}}
}

// Check says whether RayJobs can be read, and how many there are.
func (s *Source) Check(ctx context.Context) (int, error) {
	list, err := s.o.Client.Resource(rayJobs).Namespace(s.o.Namespace).List(ctx, metav1.ListOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return 0, errors.New("kuberay: the API server knows no RayJob (ray.io/v1): is KubeRay installed?")
	case apierrors.IsForbidden(err):
		return 0, fmt.Errorf("kuberay: the account needs the verbs list and watch on rayjobs.ray.io: %w", err)
	case err != nil:
		return 0, fmt.Errorf("kuberay: %w", err)
	}
	return len(list.Items), nil
}

// change is what the watch told of an object.
type change struct {
	object *unstructured.Unstructured
	gone   bool
}

// Run watches until ctx ends. The informer lists and watches, with backoff, and looks at all again now and then.
func (s *Source) Run(ctx context.Context, yield relay.Yield) error {
	changes := make(chan change)
	give := func(object any, gone bool) {
		if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = last.Obj
		}
		if u, ok := object.(*unstructured.Unstructured); ok {
			select {
			case changes <- change{u, gone}:
			case <-ctx.Done():
			}
		}
	}
	informer := cache.NewSharedIndexInformer(s.lister(), &unstructured.Unstructured{}, s.o.Resync, cache.Indexers{})
	if err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		s.o.Logger.Warn("watching RayJobs failed, will retry", "error", err)
	}); err != nil {
		return fmt.Errorf("kuberay: %w", err)
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { give(object, false) },
		UpdateFunc: func(_, object any) { give(object, false) },
		DeleteFunc: func(object any) { give(object, true) },
	}); err != nil {
		return fmt.Errorf("kuberay: %w", err)
	}
	done := make(chan struct{})
	go func() { defer close(done); informer.RunWithContext(ctx) }()
	defer func() { <-done }()
	tick := time.NewTicker(s.o.Pods)
	defer tick.Stop()
	for {
		var seen []relay.Observation
		select {
		case <-ctx.Done():
			s.giveUp(yield)
			return nil
		case c := <-changes:
			seen = s.take(ctx, c)
		case <-tick.C:
			seen = s.lookAgain(ctx)
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

// lister lists and watches RayJobs. client-go's ready-made dynamic informer does the same, but it links the typed clients of all of
// Kubernetes' own API groups, which are a third of the program.
func (s *Source) lister() cache.ListerWatcher {
	jobs := s.o.Client.Resource(rayJobs).Namespace(s.o.Namespace)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return jobs.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return jobs.Watch(ctx, o)
		},
	}, s.o.Client)
}

// take returns what an object's new state says.
func (s *Source) take(ctx context.Context, c change) (seen []relay.Observation) {
	j, err := decode(c.object)
	if err != nil {
		s.o.Logger.Warn("reading RayJob failed", "error", err)
		return nil
	}
	key := c.object.GetNamespace() + "/" + c.object.GetName()
	w := s.jobs[key]
	if w == nil || w.job.Metadata.UID != j.Metadata.UID {
		w = &watched{}
		s.jobs[key] = w
	}
	w.job = j
	if c.gone {
		delete(s.jobs, key)
		return w.gone(s.o.Now())
	}
	return w.look(s.pods(ctx, j))
}

// look returns what the object says for the first time, or again with another cause.
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
		return seen // between Retrying and the next id
	}
	w.said = &o
	return append(seen, o)
}

// gone: an object that was deleted takes its job with it.
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

// lookAgain looks at the pods of what is about to start.
func (s *Source) lookAgain(ctx context.Context) (seen []relay.Observation) {
	for _, w := range s.jobs {
		if starting(w.job) {
			seen = append(seen, w.look(s.pods(ctx, w.job))...)
		}
	}
	return seen
}

func starting(j *rayJob) bool {
	return j.Status.ClusterName != "" && !j.over() && !j.retrying() && j.status() == relay.Pending
}

// pods of a cluster that starts; none where the account may not list them.
func (s *Source) pods(ctx context.Context, j *rayJob) []pod {
	if !starting(j) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	list, err := s.o.Client.Resource(podsV1).Namespace(j.Metadata.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "ray.io/cluster=" + j.Status.ClusterName})
	if err != nil {
		if !s.mute && ctx.Err() == nil {
			s.mute = true
			s.o.Logger.Info("listing pods failed, reasons why pods don't start are unknown", "error", err)
		}
		return nil
	}
	s.mute = false
	return decodePods(list)
}

// giveUp tells of failures that were held back: whoever watches next would find the next id only.
func (s *Source) giveUp(yield relay.Yield) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, w := range s.jobs {
		if w.held != nil {
			_ = yield(ctx, *w.held)
		}
	}
}
