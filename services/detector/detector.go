package detector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/runtime"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// Options of a Detector. Log, Store and Policies are required.
type Options struct {
	Log      *eventlog.Log
	Store    *viewstore.Store
	Policies *runtime.Policies
	BaseURL  string        // of the API, for links in announcements; "" gives a path alone
	Poll     time.Duration // default 1 s
	Limit    int           // entries read of a partition at once; default 256
	Logger   *slog.Logger
	Metrics  prometheus.Registerer
}

// Detector is the detector of one process.
type Detector struct {
	o       Options
	log     *slog.Logger
	metrics *prometheus.CounterVec
}

// New returns a detector that does nothing until Run.
func New(o Options) *Detector {
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	if o.Limit == 0 {
		o.Limit = 256
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	m := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "headway_detector_checks_total", Help: "Entries of the due index looked at, by what came of it.",
	}, []string{"outcome"})
	o.Metrics.MustRegister(m)
	return &Detector{o: o, log: o.Logger.With("service", "detector"), metrics: m}
}

// Run looks at what is due, again and again, until ctx ends.
func (d *Detector) Run(ctx context.Context) error {
	store := d.o.Store
	ticker := time.NewTicker(d.o.Poll)
	defer ticker.Stop()
	for n := 0; ; n++ {
		if n%identityEvery == 0 {
			if info, err := d.o.Log.Info(ctx); err == nil && info.Identity != store.Identity() {
				store = store.WithIdentity(info.Identity)
			}
		}
		if err := d.round(ctx, store); err != nil && ctx.Err() == nil {
			d.log.Warn("round", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// identityEvery is how many rounds pass between two looks at the stream's identity. A round in between
// finds no record to judge by: it is late at most, never wrong.
const identityEvery = 5

// round looks at everything that is due, page by page.
func (d *Detector) round(ctx context.Context, store *viewstore.Store) error {
	for {
		due, err := store.Due(ctx, d.o.Limit)
		if err != nil {
			return err
		}
		full := false
		for _, part := range due {
			for _, v := range part.Views {
				if err := d.check(ctx, store, part, v); err != nil {
					return err
				}
			}
			full = full || len(part.Views) >= d.o.Limit
		}
		if !full || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// again is when an entry is looked at again that was published and not folded yet, as of the partition's
// own moment.
const again = 2 * time.Second

// check judges one view as of its partition's moment and publishes what is due. Whatever comes of it, the
// entry moves: it must not be found again at once (rule 9).
func (d *Detector) check(ctx context.Context, store *viewstore.Store, part viewstore.DuePartition, v viewstore.DueView) error {
	if v.Value == nil {
		return store.Reschedule(ctx, part.Partition, v, 0)
	}
	view, err := diagnostics.Parse(v.Value)
	if err != nil {
		return fmt.Errorf("detector: %w", err)
	}
	asOf, policy := part.Fence.AsOf(), d.o.Policies.For(v.Namespace)
	p, due := diagnostics.Due(view, asOf, policy)
	if !due {
		d.metrics.WithLabelValues("unchanged").Inc()
		at, ok := diagnostics.NextCheck(view, asOf, policy)
		if !ok {
			return store.Reschedule(ctx, part.Partition, v, 0)
		}
		return store.Reschedule(ctx, part.Partition, v, roundUp(at))
	}
	if p.Settled != nil {
		err = d.settle(ctx, v.Key, p.Settled)
	} else {
		err = d.announce(ctx, store, part.Fence, view, asOf, p.Announcement)
	}
	if err != nil {
		return err
	}
	return store.Reschedule(ctx, part.Partition, v, roundUp(asOf.Add(again)))
}

// roundUp is a moment in ms, never earlier than it.
func roundUp(at time.Time) int64 { return at.Add(time.Millisecond - 1).UnixMilli() }

func (d *Detector) settle(ctx context.Context, k viewstore.Key, s *diagnostics.Settling) error {
	_, err := d.o.Log.Publish(ctx, "headway.events."+k.Namespace+"."+k.Batch+".batch", nil, settlingEvent(k, s))
	if err != nil {
		return fmt.Errorf("detector: settle: %w", err)
	}
	d.metrics.WithLabelValues("settled").Inc()
	return nil
}

// announce publishes against the last announcement folded (rule 10). Refused because of one that the
// partition's cursor covers already, it tries against that; else the fold will tell.
func (d *Detector) announce(ctx context.Context, store *viewstore.Store, f viewstore.Fence, view *diagnostics.View, asOf time.Time, a *diagnostics.Announcement) error {
	event := announcementEvent(store, d.o.BaseURL, view, asOf, a)
	expect := view.HealthSeq
	for range 2 {
		_, err := d.o.Log.PublishHealth(ctx, view.Namespace, view.Batch, expect, event)
		var wrong eventlog.WrongLastError
		switch {
		case err == nil:
			d.metrics.WithLabelValues("announced").Inc()
			return nil
		case !errors.As(err, &wrong):
			return fmt.Errorf("detector: announce: %w", err)
		case wrong.Last > f.Cursor || wrong.Last == expect:
			d.metrics.WithLabelValues("refused").Inc()
			return nil
		}
		expect = wrong.Last
	}
	d.metrics.WithLabelValues("refused").Inc()
	return nil
}
