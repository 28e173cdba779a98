package ingest

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// Options of a Service. Log, Store and Policies are required.
type Options struct {
	Log      Log
	Store    *viewstore.Store
	Policies *policy.Set
	Member   string // the unique name of this process

	Lease     time.Duration // default 6 s: how long the partitions of a dead owner wait
	Heartbeat time.Duration // default 2 s
	MaxBatch  int           // events in one commit; default 2048
	MaxQueue  int           // events waiting per partition; default 8192
	Memory    int64         // bytes for queues and views of all partitions; default DefaultMemory
	Fresh     time.Duration // maximum age of a watermark for readiness; default 30 s

	Rows            func(generation string) Rows         // of the history's lists; may be nil
	LogWindow       time.Duration                        // how long events stay in the log after a checkpoint covers them; 0: forever
	CheckpointEvery time.Duration                        // how long an active batch may go without one; default: an hour, or a quarter of the window
	HistoryAge      func(namespace string) time.Duration // how long finished batches are kept; nil or 0: forever
	RedisKeep       func(namespace string) time.Duration // how long their views stay in Redis after the end; nil or 0: forever
	TruncateEvery   time.Duration                        // default: 30 s, or an eighth of the window

	Namespaces int // how many have a label value of their own in headway_batches; 0: none

	KeepVersions time.Duration // how long views that don't serve are kept after their last heartbeat; default 24 h
	RemoveEvery  time.Duration // interval at which such views are searched for; default 10 min

	Logger  *slog.Logger
	Metrics prometheus.Registerer
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.Lease, 6*time.Second)
	set(&o.Heartbeat, 2*time.Second)
	set(&o.Fresh, 30*time.Second)
	set(&o.KeepVersions, 24*time.Hour)
	set(&o.RemoveEvery, 10*time.Minute)
	if o.LogWindow > 0 {
		set(&o.TruncateEvery, min(o.LogWindow/8, 30*time.Second))
	}
	set(&o.TruncateEvery, 30*time.Second)
	if o.CheckpointEvery == 0 {
		if o.CheckpointEvery = time.Hour; o.LogWindow > 0 {
			o.CheckpointEvery = min(o.CheckpointEvery, o.LogWindow/4)
		}
	}
	forever := func(string) time.Duration { return 0 }
	if o.HistoryAge == nil {
		o.HistoryAge = forever
	}
	if o.RedisKeep == nil {
		o.RedisKeep = forever
	}
	for _, f := range []struct {
		to *int
		v  int
	}{{&o.MaxBatch, 2048}, {&o.MaxQueue, 8192}} {
		if *f.to == 0 {
			*f.to = f.v
		}
	}
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	return o
}

// Flags are the flags of ingest that every program with an ingest has.
type Flags struct {
	Namespaces int         `name:"metrics-namespaces" help:"Namespaces with a label value of their own in the metric headway_batches. Any others are summed under one." default:"100" env:"HEADWAY_METRICS_NAMESPACES"`
	LogWindow  *policy.Age `name:"log-window" help:"How long events stay in the log after a checkpoint covers them, as in 7d or 12h, and up to a day longer; at least 1h; 0 keeps all. By default 7d, but 0 for a log that an earlier version made." placeholder:"AGE" env:"HEADWAY_LOG_WINDOW"`
	History    policy.Age  `help:"How long finished batches are kept; 0: for ever." default:"400d" placeholder:"AGE" env:"HEADWAY_HISTORY"`
	RedisKeep  policy.Age  `name:"redis-keep" help:"How long finished batches stay in Redis after their end; later they are read from the history. 0: for ever." default:"24h" placeholder:"AGE" env:"HEADWAY_REDIS_KEEP"`
	Memory     Bytes       `name:"ingest-memory" help:"Memory for ingest's queues and views, as in 512MiB; at least 64MiB." default:"320MiB" env:"HEADWAY_INGEST_MEMORY"`
}

// Service is ingest in one process.
type Service struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	health  *health

	// Other values are for tests.
	fold      func(*diagnostics.View, *diagnostics.Event) diagnostics.Outcome // diagnostics.Fold
	apartFrom int                                                             // apartFrom
}

// New returns a service that does nothing until Run.
func New(o Options) *Service {
	o = o.withDefaults()
	h := newHealth(o.Fresh)
	return &Service{
		o: o, log: o.Logger.With("service", "ingest", "member", o.Member), metrics: newMetrics(o.Metrics, h.age, o.Namespaces), health: h,
		fold: diagnostics.Fold, apartFrom: apartFrom,
	}
}

// Ready is nil while every partition of this process's share is folded up to the log's end or, without a share, while that is
// true of all partitions. Otherwise it says which one isn't, and the reason if it is known.
func (s *Service) Ready() error { return s.health.ready() }

// Run works until ctx ends, and then releases its partitions. Each stream identity is one epoch. When it
// ends (because the stream was recreated, or Redis or NATS can't be reached), the next one starts from scratch.
func (s *Service) Run(ctx context.Context) error {
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
	for ctx.Err() == nil {
		began := time.Now()
		err := s.epoch(ctx)
		s.health.reset(err)
		if ctx.Err() != nil {
			break
		}
		s.log.Warn("ingest failed, starting over", "error", err)
		if time.Since(began) > time.Minute {
			retry.Reset()
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry.NextBackOff()):
		}
	}
	return nil
}
