package ingest

import (
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
}

func newMetrics(r prometheus.Registerer, age func() float64, namespaces int) *metrics {
	m := &metrics{
		events:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "headway_ingest_events_total", Help: "Events read, by outcome. See docs/runbooks/HeadwayDeadLetters.md."}, []string{"outcome"}),
		commits: prometheus.NewCounter(prometheus.CounterOpts{Name: "headway_ingest_commits_total", Help: "Commits, heartbeats included."}),
		views:   prometheus.NewCounter(prometheus.CounterOpts{Name: "headway_ingest_views_written_total", Help: "Views written."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "headway_ingest_commit_seconds", Help: "Duration of a commit.", Buckets: prometheus.ExponentialBuckets(0.0002, 2, 14)}),
		owned:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "headway_ingest_partitions_owned", Help: "Partitions that this process owns. See docs/runbooks/HeadwayPartitionUnowned.md."}),
		letters: prometheus.NewGauge(prometheus.GaugeOpts{Name: "headway_ingest_dead_letters_pending", Help: "Dead letters that couldn't be stored yet; the cursor waits for them. See docs/runbooks/HeadwayDeadLetters.md."}),
		damage:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "headway_ingest_damage_total", Help: "Lost or unreadable parts of the view store that were rebuilt, by kind."}, []string{"what"}),
		batches: newBatches(namespaces),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "headway_ingest_partitions_dropped_total", Help: "Partitions dropped because of a refusal or an error."}),
	}
	for o := range m.outcomes {
		m.outcomes[o] = m.events.WithLabelValues(diagnostics.Outcome(o).String())
	}
	m.dead = m.events.WithLabelValues("dead_lettered")
	for _, reason := range []string{
		reasonMissing, reasonCorrupt, reasonDiffers, reasonPanic, reasonEncode, reasonCatalogue, reasonIndexes, reasonPartition, reasonFence,
	} {
		m.damage.WithLabelValues(reason) // so that the first increase is visible
	}
	r.MustRegister(m.events, m.commits, m.views, m.seconds, m.owned, m.letters, m.damage, m.dropped, m.batches,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "headway_ingest_watermark_age_seconds", Help: "Age of the oldest watermark of the partitions that this process owns."}, age))
	return m
}

func (m *metrics) commit(views int, took time.Duration) {
	m.commits.Inc()
	m.views.Add(float64(views))
	m.seconds.Observe(took.Seconds())
}
