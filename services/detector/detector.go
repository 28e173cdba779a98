package detector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/policy"
)

// Options of a Detector. Log, Store and Policies are required.
type Options struct {
	Log      Log
	Store    func(identity string) Store // of a stream identity
	Policies *policy.Set
	BaseURL  string        // of the API, for links in announcements; with "" the links are only paths
	Poll     time.Duration // default 1 s
	Limit    int           // entries read per partition at once; default 256
	Logger   *slog.Logger
	Metrics  prometheus.Registerer
}

// Detector is the detector of one process.
type Detector struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	entries *memory

	mu      sync.Mutex
	reached time.Time // when the store was read last
	failed  error     // why the last round failed
	away    error     // why the log doesn't answer

	otherPolicy string // hash of the last policy of a partition's owner that isn't this detector's
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
	return &Detector{o: o, log: o.Logger.With("service", "detector"), metrics: newMetrics(o.Metrics), entries: newMemory()}
}

const (
	// lookEvery is how many rounds pass between two checks of the log. If the log changed its identity meanwhile, a round
	// finds no fences of the new one: it is late at most, never wrong.
	lookEvery = 3
	// waitLimit limits each wait for Redis. The log itself limits each wait for NATS.
	waitLimit = 5 * time.Second
)

// Run judges and publishes what is due, in rounds, until ctx ends.
func (d *Detector) Run(ctx context.Context) error {
	ticker := time.NewTicker(d.o.Poll)
	defer ticker.Stop()
	var store Store
	identity := ""
	var failed error // the last round
	for n := 0; ; n++ {
		// If the log accepted nothing in the last round, check it: a round with nothing to publish would report success.
		if n%lookEvery == 0 || store == nil || errors.Is(failed, eventlog.ErrUnavailable) {
			now, err := d.look(ctx)
			if err == nil && now != identity {
				identity, store = now, d.o.Store(now)
			}
			d.note(ctx, &d.away, err, "event log can't be asked")
		}
		if store != nil {
			failed = d.round(ctx, store, n)
			d.note(ctx, &d.failed, failed, "detector round failed")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look recreates deleted streams, and asks for the log's identity.
func (d *Detector) look(ctx context.Context) (identity string, err error) {
	if err := d.o.Log.EnsureStreams(ctx); err != nil {
		d.metrics.failures.WithLabelValues(reasonLog).Inc()
		return "", err
	}
	info, err := d.o.Log.Info(ctx)
	if err != nil {
		d.metrics.failures.WithLabelValues(reasonLog).Inc()
	}
	return info.Identity, err
}

// note stores an error for Ready, or its end, and logs the change.
func (d *Detector) note(ctx context.Context, at *error, err error, what string) {
	if ctx.Err() != nil {
		return
	}
	d.mu.Lock()
	before := *at
	*at = err
	d.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		d.log.Warn(what, "error", err)
	case err != nil: // logged before
	case before != nil:
		d.log.Info("detector recovered", "from", before.Error())
	}
}

// Ready is nil while rounds reach the store and the log answers; otherwise it says what is wrong.
func (d *Detector) Ready() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	age := time.Since(d.reached)
	switch {
	case d.failed != nil:
		return fmt.Errorf("detector: the last round failed: %w", d.failed)
	case d.away != nil:
		return fmt.Errorf("detector: the event log can't be asked: %w", d.away)
	case d.reached.IsZero():
		return errors.New("detector: no round is done yet")
	case age > 5*d.o.Poll+waitLimit:
		return fmt.Errorf("detector: the store was read last %v ago", age.Round(time.Second))
	}
	return nil
}
