package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/relay/machine"
)

// Publisher stores events. Publish returns once all are stored, or with the first error: then it is unknown which were
// stored, and they may be published again. It may be called concurrently.
type Publisher interface {
	Publish(ctx context.Context, namespace string, events ...client.Event) error
}

// Cluster is one Ray cluster to watch.
type Cluster struct {
	Name    string // name used in events; default: host and port of URL
	URL     string // of the dashboard, for example http://ray-head:8265
	Token   string // sent as Authorization: Bearer, if the cluster requires one
	TLS     *tls.Config
	Timeout time.Duration // of one request; default 10 s

	Transport http.RoundTripper // default: one of its own
}

// Polling are the intervals at which a cluster is queried. Zero values mean the defaults.
type Polling struct {
	Fast    time.Duration // jobs, while something changes; default 1 s
	Slow    time.Duration // jobs, when nothing does; default 4 s
	Causes  time.Duration // why jobs wait, while one does; default 2 s
	Data    time.Duration // progress of Ray Data; default 5 s
	Version time.Duration // of the cluster's session; default 10 s
}

func (p *Polling) fill() {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&p.Fast, time.Second)
	set(&p.Slow, 4*time.Second)
	set(&p.Causes, 2*time.Second)
	set(&p.Data, 5*time.Second)
	set(&p.Version, 10*time.Second)
}

// Options of a Relay. Publisher is required.
type Options struct {
	Publisher Publisher
	Clusters  []Cluster
	Exports   []ExportDir
	Sources   []Source // additional ones, for example KubeRay
	Rules     Rules    // where a job's batch and tier are found
	Polling   Polling
	Receiver  Limits  // of the event-export receiver
	Proving   Proving // looks at what hangs; none by default
	Secret    string  // part of the receiver's path; "" disables the receiver
	Now       func() time.Time
	Logger    *slog.Logger
	Metrics   prometheus.Registerer
}

// Relay relays from any number of clusters. Create it with New, then call Run.
type Relay struct {
	o        Options
	log      *slog.Logger
	metrics  *metrics
	tracker  *tracker
	exported exportCount
	clusters []*cluster
}

// New checks the options and returns a relay that does nothing until Run.
func New(o Options) (*Relay, error) {
	if o.Publisher == nil {
		return nil, errors.New("relay: Publisher is missing")
	}
	if err := o.Rules.Compile(); err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	o.Polling.fill()
	o.Receiver.fill()
	o.Proving.fill()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	r := &Relay{o: o, log: o.Logger.With("service", "relay"), metrics: newMetrics(o.Metrics)}
	r.tracker = newTracker(o.Rules, o.Publisher, r.log, r.metrics)
	for _, from := range o.Sources {
		if logs, ok := from.(logReader); ok {
			logs.ReadLogsIf(r.mayProve)
		}
	}
	seen := map[string]bool{}
	for _, c := range o.Clusters {
		k, err := newCluster(c, r)
		if err != nil {
			return nil, err
		}
		if seen[k.name] {
			return nil, fmt.Errorf("relay: two clusters are named %s", k.name)
		}
		seen[k.name] = true
		r.clusters = append(r.clusters, k)
		r.tracker.note(machine.Called{Address: k.api.Host(), Cluster: k.name})
	}
	return r, nil
}

// logReader is a source that can read the last lines of a job's containers, where that is allowed.
type logReader interface {
	ReadLogsIf(may func(Observation) bool)
}

// mayProve reports whether the namespace of a job has opted in to proofs.
func (r *Relay) mayProve(o Observation) bool {
	p, why := r.o.Rules.Map(o.Submission, o.JobName, o.Metadata)
	of := r.o.Proving.Namespaces
	return why == "" && (slices.Contains(of, "*") || slices.Contains(of, p.Namespace))
}

// source is one row of the table of sources.
type source struct {
	name string
	run  func(ctx context.Context) error
}

// sources is the table of everything that this relay watches. Each row runs in its own goroutine, so that one that
// hangs doesn't block the others. All of them pass what they observe to the tracker, whose state machine merges it.
func (r *Relay) sources() []source {
	var all []source
	for _, c := range r.clusters {
		all = append(all, source{"cluster " + c.name, c.run})
	}
	for _, d := range r.o.Exports {
		files := newExportFiles(d, r)
		all = append(all, source{"export files of " + files.Cluster, func(ctx context.Context) error { return files.Run(ctx, r.tracker.observe) }})
	}
	if p := r.o.Proving; p.Health != nil && len(p.Namespaces) > 0 && len(r.clusters) > 0 {
		all = append(all, source{"proofs", newProver(p, r).run})
	}
	for _, s := range r.o.Sources {
		all = append(all, source{fmt.Sprintf("%T", s), func(ctx context.Context) error { return s.Run(ctx, r.tracker.observe) }})
	}
	return all
}

// Run watches all clusters and sources until ctx ends. A cluster that can't be reached is retried with backoff.
func (r *Relay) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range r.sources() {
		g.Go(func() error {
			if err := s.run(ctx); err != nil {
				return fmt.Errorf("relay: %s: %w", s.name, err)
			}
			return nil
		})
	}
	g.Go(func() error { <-ctx.Done(); return nil })
	return g.Wait()
}

// Ready reports whether every cluster has answered lately. The error names those that didn't.
func (r *Relay) Ready() error {
	var errs []error
	for _, c := range r.clusters {
		errs = append(errs, c.ready(r.o.Now()))
	}
	return errors.Join(errs...)
}

// Jobs lists the jobs found so far, with the reason if a job isn't relayed.
func (r *Relay) Jobs() []Found { return r.tracker.found() }
