package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/runtime"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// Options of a Service. Log, Store and Policies are required.
type Options struct {
	Log      *eventlog.Log
	Store    *viewstore.Store
	Policies *runtime.Policies
	Member   string // names this process among its like

	Lease     time.Duration // default 6 s: what a dead owner's partitions wait
	Heartbeat time.Duration // default 2 s
	MaxBatch  int           // events in one commit; default 2048
	MaxQueue  int           // events waiting per partition; default 8192
	CacheSize int           // bytes of decoded views kept per partition; default 16 MiB

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
	for _, f := range []struct {
		to *int
		v  int
	}{{&o.MaxBatch, 2048}, {&o.MaxQueue, 8192}, {&o.CacheSize, 16 << 20}} {
		if *f.to == 0 {
			*f.to = f.v
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	return o
}

// Service is ingest in one process.
type Service struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	ready   atomic.Bool
}

// New returns a service that does nothing until Run.
func New(o Options) *Service {
	o = o.withDefaults()
	return &Service{o: o, log: o.Logger.With("service", "ingest", "member", o.Member), metrics: newMetrics(o.Metrics)}
}

// Ready is nil once every partition of this process's share is folded up to the log's end.
func (s *Service) Ready() error {
	if !s.ready.Load() {
		return errors.New("ingest: not caught up with the event log yet")
	}
	return nil
}

// Run works until ctx ends, and gives its partitions back then. Each stream identity is one epoch: when it
// ends (the stream was made anew, Redis or NATS is out of reach), the next begins from nothing.
func (s *Service) Run(ctx context.Context) error {
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
	for ctx.Err() == nil {
		began := time.Now()
		err := s.epoch(ctx)
		s.ready.Store(false)
		if ctx.Err() != nil {
			break
		}
		s.log.Warn("starting over", "error", err)
		if time.Since(began) > time.Minute {
			retry.Reset()
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry.NextBackOff()):
		}
	}
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), 500*time.Millisecond)
	defer cancel()
	_ = s.o.Store.Leave(leave, s.o.Member) // it would leave by itself soon
	return nil
}

// epoch is the life of one stream identity in this process.
type epoch struct {
	s        *Service
	store    *viewstore.Store
	identity string
	router   *router
	slots    chan struct{} // who holds one folds: under load the others' queues grow, and so do their batches

	mu    sync.Mutex
	owned map[int]*partition
	wg    sync.WaitGroup
	fail  context.CancelCauseFunc
}

func (s *Service) epoch(ctx context.Context) error {
	info, err := s.o.Log.Info(ctx)
	if err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	e := &epoch{
		s: s, store: s.o.Store.WithIdentity(info.Identity), identity: info.Identity,
		owned: map[int]*partition{}, fail: fail, slots: make(chan struct{}, goruntime.GOMAXPROCS(0)),
	}
	e.router = newRouter(s.o.Log.Partitions(), s.o.MaxQueue)
	defer e.wg.Wait()
	defer fail(nil)

	if err := e.tick(ctx); err != nil {
		return err
	}
	e.wg.Go(func() { e.read(ctx) })
	ticks := time.NewTicker(s.o.Heartbeat / 2)
	defer ticks.Stop()
	beat := time.NewTimer(0)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticks.C:
			if err := e.tick(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("membership", "error", err)
			}
		case <-beat.C:
			if err := e.heartbeat(ctx); err != nil && ctx.Err() == nil {
				if errors.Is(err, eventlog.ErrIdentityChanged) {
					return err
				}
				s.log.Warn("heartbeat", "error", err)
			}
			next := s.o.Heartbeat
			if !s.ready.Load() {
				next = min(next, hurry) // who waits for the end of a rebuild waits for this
			}
			beat.Reset(next)
		}
	}
}

// hurry is the heartbeat of a process that hasn't caught up.
const hurry = 50 * time.Millisecond

// tick says that this member lives, claims what is its share and gives back what isn't any more.
func (e *epoch) tick(ctx context.Context) error {
	members, err := e.store.Join(ctx, e.s.o.Member, e.s.o.Lease)
	if err != nil {
		return err
	}
	fences, err := e.store.Fences(ctx)
	if err != nil {
		return err
	}
	mine := share(e.s.o.Member, members, e.store.Partitions())
	for p, f := range fences {
		owned := e.get(p)
		switch {
		case mine[p] && owned == nil:
			if err := e.claim(ctx, p, f); err != nil && !errors.Is(err, viewstore.ErrFenced) {
				return err
			}
		case !mine[p] && owned != nil:
			owned.stop(errReleased)
		case owned != nil && (f == nil || f.Token != owned.token):
			owned.stop(viewstore.ErrFenced) // an idle worker notices a wipe here
		}
	}
	e.s.metrics.owned.Set(float64(e.count()))
	return nil
}

var errReleased = errors.New("released")

func (e *epoch) get(p int) *partition {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.owned[p]
}

func (e *epoch) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.owned)
}

func (e *epoch) all() []*partition {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]*partition, 0, len(e.owned))
	for _, p := range e.owned {
		out = append(out, p)
	}
	return out
}

// claim takes a partition, checks that its position means something on this stream, and starts its worker.
func (e *epoch) claim(ctx context.Context, p int, seen *viewstore.Fence) error {
	fence, err := e.store.Claim(ctx, p, seen, e.claimable(seen), e.s.o.Lease)
	if err != nil {
		return err
	}
	incomplete, err := e.verify(ctx, fence)
	if err != nil {
		return fmt.Errorf("ingest: claim p%02d: %w", p, err)
	}
	part := newPartition(e, p, fence, incomplete)
	part.rescore = seen != nil && seen.PolicyHash != fence.PolicyHash
	e.mu.Lock()
	e.owned[p] = part
	e.mu.Unlock()
	e.wg.Go(func() {
		err := part.run(ctx)
		e.mu.Lock()
		delete(e.owned, p)
		e.mu.Unlock()
		if ctx.Err() == nil && !errors.Is(err, errReleased) {
			e.s.metrics.dropped.Inc()
			e.s.log.Warn("partition dropped", "partition", p, "error", err)
		}
		if errors.Is(err, eventlog.ErrIdentityChanged) {
			e.fail(err)
		}
	})
	return nil
}

// heartbeat moves the quiet partitions to the log's end and renews all leases.
func (e *epoch) heartbeat(ctx context.Context) error {
	if err := e.s.o.Log.EnsureStreams(ctx); err != nil {
		return err
	}
	info, err := e.s.o.Log.Info(ctx)
	if err != nil {
		return err
	}
	if info.Identity != e.identity {
		err := fmt.Errorf("%w: was %s, is %s", eventlog.ErrIdentityChanged, e.identity, info.Identity)
		e.fail(err)
		return err
	}
	b, err := e.beat(ctx, info)
	if err != nil {
		return err
	}
	ready := true
	for _, p := range e.all() {
		p.poke(b)
		ready = ready && p.complete.Load()
	}
	e.s.metrics.lag.Set(max(0, info.Now.Sub(b.watermark).Seconds()))
	e.s.ready.Store(ready)
	return nil
}
