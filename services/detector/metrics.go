package detector

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/pkg/viewstore"
)

// Why something failed: the labels of headway_detector_failures_total, all of them.
const (
	reasonMissing     = "missing"     // entry: its view is gone
	reasonUnreadable  = "unreadable"  // entry: its view can't be read
	reasonPanic       = "panic"       // entry: judging its view broke
	reasonEvent       = "event"       // entry: what it says can't be written as an event
	reasonUnfolded    = "unfolded"    // entry: the fold refused the health event before
	reasonTimeout     = "timeout"     // entry: no acknowledgement came, though the log answers
	reasonRefused     = "refused"     // entry: the log refused its event
	reasonReschedule  = "reschedule"  // entry: it couldn't be moved
	reasonPartition   = "partition"   // partition: its record or index can't be read
	reasonStore       = "store"       // round: nothing could be read; entry: which version serves couldn't be asked
	reasonUnavailable = "unavailable" // round: the log takes no events
	reasonLog         = "log"         // the log couldn't be asked
)

// failure is an error with its label.
type failure struct {
	reason string
	err    error
}

func (f failure) Error() string { return f.err.Error() }
func (f failure) Unwrap() error { return f.err }

func reasonOf(err error) string {
	var f failure
	if errors.As(err, &f) {
		return f.reason
	}
	return reasonRefused
}

type metrics struct {
	checks   *prometheus.CounterVec
	failures *prometheus.CounterVec
	rounds   *prometheus.CounterVec
	lateness prometheus.Histogram
	last     atomic.Int64 // when a round was completed last, in ns
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headway_detector_checks_total", Help: "Entries of the due index looked at, by what came of it.",
		}, []string{"outcome"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headway_detector_failures_total", Help: "What failed, by reason. An entry is tried again after a growing delay.",
		}, []string{"reason"}),
		rounds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headway_detector_rounds_total", Help: "Looks at everything that is due, by whether they came to all of it.",
		}, []string{"complete"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "headway_detector_lateness_seconds", Help: "How long after its moment an entry was looked at, by the event log's clock.",
			Buckets: prometheus.ExponentialBuckets(0.1, 2, 14),
		}),
	}
	m.last.Store(time.Now().UnixNano())
	for _, reason := range []string{
		reasonMissing, reasonUnreadable, reasonPanic, reasonEvent, reasonUnfolded, reasonTimeout, reasonRefused,
		reasonReschedule, reasonPartition, reasonStore, reasonUnavailable, reasonLog,
	} {
		m.failures.WithLabelValues(reason) // so that an increase from nothing is one
	}
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "headway_detector_last_round_age_seconds", Help: "Time since a round was completed, or since the start.",
	}, func() float64 { return time.Since(time.Unix(0, m.last.Load())).Seconds() })
	r.MustRegister(m.checks, m.failures, m.rounds, m.lateness, age)
	return m
}

func (m *metrics) round(complete bool) {
	m.rounds.WithLabelValues(strconv.FormatBool(complete)).Inc()
	if complete {
		m.last.Store(time.Now().UnixNano())
	}
}

// late observes an entry whose moment is score, in ms.
func (m *metrics) late(f viewstore.Fence, score string) {
	if ms, err := strconv.ParseFloat(score, 64); err == nil {
		m.lateness.Observe(max(0, time.Duration(f.Watermark).Seconds()-ms/1000))
	}
}
