package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// Options of a Service. Log, Store, Policies and Partition are required.
type Options struct {
	Log       Publisher
	Store     *viewstore.Store
	Policies  Policies
	Partition func(namespace, batch string) int

	// Identity asks the log for the present stream identity. Where given, a recreated stream is followed
	// within seconds; else the identity stays the store's.
	Identity func(context.Context) (string, error)

	// Beside is served on the same listener, by patterns of net/http. What they don't match is the api's.
	Beside map[string]http.Handler

	Limits  Limits
	Push    push.Config
	Fresh   time.Duration        // how far views may be behind for readyz; default 30 s
	Metrics *prometheus.Registry // default: one of its own, with Go's and the process's metrics
	Logger  *slog.Logger
}

// New makes the service. Run it, or serve Handler and run Work.
func New(o Options) *Service {
	v := newStoreViews(o.Store)
	return newService(settings{
		log: o.Log, views: v, policies: o.Policies, partitions: o.Store.Partitions(), partition: o.Partition,
		beside: o.Beside, limits: o.Limits, push: o.Push, fresh: o.Fresh, registry: o.Metrics, logger: o.Logger,
		feed: func(s *Service) feed { return newStoreFeed(s, v, o.Partition, o.Identity) },
	})
}
