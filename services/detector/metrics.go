package detector

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/pkg/viewstore"
)

// Reasons for failures: all labels of headway_detector_failures_total.
const (
	reasonMissing     = "missing"     // entry: its view is gone
	reasonUnreadable  = "unreadable"  // entry: its view can't be read
	reasonPanic       = "panic"       // entry: judging its view panicked
	reasonEvent       = "event"       // entry: its event can't be encoded
	reasonUnfolded    = "unfolded"    // entry: the fold refused the previous health event
	reasonTimeout     = "timeout"     // entry: there was no acknowledgement, although the log answers
	reasonRefused     = "refused"     // entry: the log refused its event
	reasonReschedule  = "reschedule"  // entry: it couldn't be moved
	reasonPartition   = "partition"   // partition: its fence or index can't be read
	reasonStore       = "store"       // round: nothing could be read; entry: the serving version couldn't be read
	reasonUnavailable = "unavailable" // round: the log accepts no events
	reasonLog         = "log"         // the log didn't answer
)

// Outcomes of checks: all labels of headway_detector_checks_total.
const (
	outcomeUnchanged   = "unchanged"    // nothing was due
	outcomeAnnounced   = "announced"    // a change of health was published
	outcomeSettled     = "settled"      // the end of a batch was published
	outcomeRefused     = "refused"      // another detector was first
	outcomeSuperseded  = "superseded"   // this fold version serves no longer
	outcomeOtherPolicy = "other_policy" // left to a detector that has the policy of ingest
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
			Name: "headway_detector_checks_total", Help: "Checked entries of the due index, by outcome.",
		}, []string{"outcome"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headway_detector_failures_total", Help: "Failures by reason. A failed entry is retried after a growing delay. See docs/runbooks/HeadwayDetectorFails.md and docs/runbooks/HeadwayAnnouncementsRefused.md.",
		}, []string{"reason"}),
		rounds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headway_detector_rounds_total", Help: "Rounds over everything that is due, by whether they covered all of it.",
		}, []string{"complete"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "headway_detector_lateness_seconds", Help: "How long after it was due an entry was checked, by the event log's clock. See docs/runbooks/HeadwayDetectorLate.md.",
			Buckets: prometheus.ExponentialBuckets(0.1, 2, 14),
		}),
	}
	m.last.Store(time.Now().UnixNano())
	for _, reason := range []string{
		reasonMissing, reasonUnreadable, reasonPanic, reasonEvent, reasonUnfolded, reasonTimeout, reasonRefused,
		reasonReschedule, reasonPartition, reasonStore, reasonUnavailable, reasonLog,
	} {
		m.failures.WithLabelValues(reason) // so that the first increase is visible
	}
	for _, outcome := range []string{outcomeUnchanged, outcomeAnnounced, outcomeSettled, outcomeRefused, outcomeSuperseded, outcomeOtherPolicy} {
		m.checks.WithLabelValues(outcome)
	}
	for _, complete := range []bool{true, false} {
		m.rounds.WithLabelValues(strconv.FormatBool(complete))
	}
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "headway_detector_last_round_age_seconds", Help: "Time since a round was completed, or since the start. See docs/runbooks/HeadwayDetectorFails.md.",
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
