package relay

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	published *prometheus.CounterVec // by kind: job, tier, stage, proof
	refused   *prometheus.CounterVec // by kind: events that Headway rejected
	received  *prometheus.CounterVec // exported events, by result
	exported  *prometheus.CounterVec // lines of export files, by result
	requests  *prometheus.CounterVec // to clusters, by cluster and outcome
	reachable *prometheus.GaugeVec   // by cluster
	jobs      *prometheus.GaugeVec   // by cluster and whether they are relayed
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		published: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "headway_relay_events_total", Help: "Events published, by kind."}, []string{"kind"}),
		refused:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "headway_relay_refused_total", Help: "Events that the log refuses permanently, by kind."}, []string{"kind"}),
		received:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "headway_relay_received_total", Help: "Events that Ray exported to the receiver, by outcome."}, []string{"outcome"}),
		exported:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "headway_relay_export_lines_total", Help: "Lines of Ray's export files, by outcome."}, []string{"outcome"}),
		requests:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "headway_relay_requests_total", Help: "Requests to Ray's dashboard, by cluster and outcome."}, []string{"cluster", "outcome"}),
		reachable: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "headway_relay_cluster_reachable", Help: "1 while the cluster answers. See docs/runbooks/HeadwayClusterUnreachable.md."}, []string{"cluster"}),
		jobs:      prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "headway_relay_jobs", Help: "Known jobs, by cluster and whether they are relayed."}, []string{"cluster", "relayed"}),
	}
	for _, kind := range []string{"job", "tier", "stage", "proof"} { // so that the first increase is visible
		m.published.WithLabelValues(kind)
		m.refused.WithLabelValues(kind)
	}
	for _, outcome := range []string{"used", "of_no_use", "unreadable", "too_many", "too_large", "not_kept", "busy", "wrong_secret"} {
		m.received.WithLabelValues(outcome)
	}
	for _, outcome := range []string{"read", "unreadable", "cut"} {
		m.exported.WithLabelValues(outcome)
	}
	r.MustRegister(m.published, m.refused, m.received, m.exported, m.requests, m.reachable, m.jobs)
	return m
}
