package ingest

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

type metrics struct {
	events   *prometheus.CounterVec
	outcomes [3]prometheus.Counter // by diagnostics.Outcome
	dead     prometheus.Counter
	commits  prometheus.Counter
	views    prometheus.Counter
	seconds  prometheus.Histogram
	owned    prometheus.Gauge
	letters  prometheus.Gauge
	damage   *prometheus.CounterVec
	dropped  prometheus.Counter
	batches  *batches

	checkpoints  *prometheus.CounterVec
	droppedViews prometheus.Counter
	removed      prometheus.Counter
	holds        *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer, age func() float64, namespaces int) *metrics {
	m := &metrics{
		events:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "headway_ingest_events_total", Help: "Events read, by outcome. See docs/runbooks/HeadwayDeadLetters.md."}, []string{"outcome"}),
		commits:      prometheus.NewCounter(prometheus.CounterOpts{Name: "headway_ingest_commits_total", Help: "Commits, heartbeats included."}),
		views:        prometheus.NewCounter(prometheus.CounterOpts{Name: "headway_ingest_views_written_total", Help: "Views written."}),
		seconds:      prometheus.NewHistogram(prometheus.HistogramOpts{Name: "headway_ingest_commit_seconds", Help: "Duration of a commit.", Buckets: prometheus.ExponentialBuckets(0.0002, 2, 14)}),
		owned:        prometheus.NewGauge(prometheus.GaugeOpts{Name: "headway_ingest_partitions_owned", Help: "Partitions that this process owns. See docs/runbooks/HeadwayPartitionUnowned.md."}),
		letters:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "headway_ingest_dead_letters_pending", Help: "Dead letters that couldn't be stored yet; the cursor waits for them. See docs/runbooks/HeadwayDeadLetters.md."}),
		damage:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "headway_ingest_damage_total", Help: "Lost or unreadable parts of the view store that were rebuilt, by kind."}, []string{"what"}),
		batches:      newBatches(namespaces),
		dropped:      prometheus.NewCounter(prometheus.CounterOpts{Name: "headway_ingest_partitions_dropped_total", Help: "Partitions dropped because of a refusal or an error."}),
		checkpoints:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "headway_ingest_checkpoints_total", Help: "Checkpoints of batches, by outcome: stored, joined (another one was there, and the next try replaces it), failed; base, base_failed: those kept for past moments."}, []string{"outcome"}),
		droppedViews: prometheus.NewCounter(prometheus.CounterOpts{Name: "headway_ingest_views_dropped_total", Help: "Views of finished batches that were dropped from Redis. The history has them."}),
		removed:      prometheus.NewCounter(prometheus.CounterOpts{Name: "headway_log_removed_total", Help: "Events removed from the log because checkpoints cover them."}),
		holds:        prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "headway_log_held_by", Help: "1 for the partition up to whose events the log can be cut."}, []string{"partition"}),
	}
	for o := range m.outcomes {
		m.outcomes[o] = m.events.WithLabelValues(diagnostics.Outcome(o).String())
	}
	m.dead = m.events.WithLabelValues("dead_lettered")
	for _, reason := range []string{
		reasonMissing, reasonCorrupt, reasonDiffers, reasonPanic, reasonEncode, reasonCatalogue, reasonIndexes, reasonPartition, reasonFence, reasonCheckpoint,
	} {
		m.damage.WithLabelValues(reason) // so that the first increase is visible
	}
	for _, outcome := range []string{"stored", "joined", "failed", "base", "base_failed"} {
		m.checkpoints.WithLabelValues(outcome)
	}
	r.MustRegister(m.checkpoints, m.droppedViews, m.removed, m.holds)
	r.MustRegister(m.events, m.commits, m.views, m.seconds, m.owned, m.letters, m.damage, m.dropped, m.batches,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "headway_ingest_watermark_age_seconds", Help: "Age of the oldest watermark of the partitions that this process owns."}, age))
	return m
}

func (m *metrics) commit(views int, took time.Duration) {
	m.commits.Inc()
	m.views.Add(float64(views))
	m.seconds.Observe(took.Seconds())
}

// held records which partition ends what can be removed from the log.
func (m *metrics) held(h Held, partitions int) {
	if partitions == 0 {
		return
	}
	m.holds.Reset()
	if h.Partition >= 0 {
		m.holds.WithLabelValues(strconv.Itoa(h.Partition)).Set(1)
	}
}
