package api

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headwayhq/headway/services/api/access"
)

// MyLimits are the limits that hold for a request, and what is used of them.
type MyLimits struct {
	Principal []MyLimit `json:"principal"` // of the key, with everything that it does in any namespace; empty without access control
	Namespace []MyLimit `json:"namespace"` // of the request's namespace, with what everybody does in it; empty if the request has none
	Server    []MyLimit `json:"server"`    // of all together
}

// MyLimit is one limit.
type MyLimit struct {
	Name  string `json:"name"`  // as a 429 names it
	Unit  string `json:"unit"`  // of value, burst and used
	Value *int64 `json:"value"` // null: no limit
	Burst *int64 `json:"burst"` // of a rate: how much may come at once; null otherwise
	Used  *int64 `json:"used"`  // how much of burst, else of value, is in use now; null: not known
}

func newMyLimit(l limitID, value, used int64) MyLimit {
	m := MyLimit{Name: l.String(), Unit: limitTable[l].unit}
	if value > 0 {
		m.Value = &value
	}
	if used >= 0 {
		m.Used = &used
	}
	return m
}

// ratesOf are the rates of a meter.
func ratesOf(m *meter, now time.Time) (out []MyLimit) {
	for l := range rates {
		if m == nil || m.rates[l] == nil {
			out = append(out, newMyLimit(l, 0, -1))
			continue
		}
		burst := int64(m.rates[l].Burst())
		x := newMyLimit(l, m.quota[l], max(0, burst-int64(m.rates[l].TokensAt(now))))
		x.Burst = &burst
		out = append(out, x)
	}
	return out
}

// limitsOf are the limits of a principal, and of a namespace if it isn't "".
func (s *Service) limitsOf(ctx context.Context, p *access.Principal, ns string) MyLimits {
	now := time.Now()
	if p.Public() != nil { // what others use is nothing for everybody
		return MyLimits{Principal: []MyLimit{}, Namespace: []MyLimit{}, Server: []MyLimit{}}
	}
	all := MyLimits{Principal: []MyLimit{}, Namespace: []MyLimit{}, Server: []MyLimit{
		newMyLimit(openStreams, s.streams.total, int64(s.streams.len())),
		newMyLimit(heldBytes, s.bodies.total, s.bodies.held()),
	}}
	if p.ID != "" {
		q := &s.limiter.principals.quotas.standard
		all.Principal = append(ratesOf(s.limiter.principal(p, now), now),
			newMyLimit(openStreams, q[openStreams], int64(s.streamers.of(who(p).key()))),
			newMyLimit(waitingStreams, q[waitingStreams], int64(s.callers.of(who(p).key()))))
	}
	if ns == "" {
		return all
	}
	q := s.limiter.namespaces.quotas.of(ns)
	all.Namespace = append(ratesOf(s.limiter.namespace(ns, now), now),
		newMyLimit(openStreams, q[openStreams], int64(s.streams.of(ns))),
		newMyLimit(waitingStreams, q[waitingStreams], int64(s.waiters.of(ns))))
	used := map[limitID]int64{keptBatches: -1, activeBatches: -1}
	ctx, cancel := context.WithTimeout(ctx, roomWithin)
	defer cancel()
	if x, _, done, err := s.list(ctx, ns, false); err == nil {
		counted := x.counted()
		used = counted.used()
		done()
	}
	for _, l := range []limitID{keptBatches, activeBatches} {
		all.Namespace = append(all.Namespace, newMyLimit(l, q[l], used[l]))
	}
	return all
}

// usage is how near to a limit those are that are nearest to it, which names none of them.
type usage struct {
	limit limitID
	of    string
	value func() int64 // that holds where nothing else is set
	ratio func() float64
}

func (s *Service) usages() (out []usage) {
	for _, m := range []*meters{s.limiter.principals, s.limiter.namespaces} {
		for l := range rates {
			out = append(out, usage{l, m.quotas.scope, func() int64 { return m.quotas.standard[l] }, func() float64 { return m.fullest(l, time.Now()) }})
		}
	}
	principals, namespaces := s.limiter.principals.quotas, s.limiter.namespaces.quotas
	for _, g := range []struct {
		limit limitID
		gate  *gate
		of    *quotas
	}{{openStreams, s.streamers, principals}, {openStreams, s.streams, namespaces}, {waitingStreams, s.callers, principals}, {waitingStreams, s.waiters, namespaces}} {
		out = append(out, usage{g.limit, g.of.scope, func() int64 { return g.of.standard[g.limit] }, func() float64 {
			return g.gate.fullest(func(key string) int64 { return g.of.of(key)[g.limit] })
		}})
	}
	for _, l := range []limitID{keptBatches, activeBatches} {
		out = append(out, usage{l, ofNamespace, func() int64 { return namespaces.standard[l] }, func() float64 { return s.lists.fullest(l, namespaces) }})
	}
	return append(out,
		usage{openStreams, ofServer, func() int64 { return s.streams.total }, func() float64 { return float64(s.streams.len()) / float64(s.streams.total) }},
		usage{heldBytes, ofServer, func() int64 { return s.bodies.total }, func() float64 { return float64(s.bodies.held()) / float64(s.bodies.total) }})
}

// fullest is how much of a limit of batches is used up by the namespace, of those in use, that has used most of it.
func (l *lists) fullest(of limitID, q *quotas) (most float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ns, x := range l.per {
		if limit := q.of(ns)[of]; limit > 0 {
			counted := x.counted()
			most = max(most, float64(counted.used()[of])/float64(limit))
		}
	}
	return most
}

// usageMetrics are the limits as metrics.
type usageMetrics struct{ s *Service }

var (
	limitValue = prometheus.NewDesc("headway_api_limit", "Limits, where a namespace has none of its own; 0 is none.", []string{"limit", "of"}, nil)
	limitUsed  = prometheus.NewDesc("headway_api_limit_used_ratio", "How much of a limit is used up by the principal or namespace that has used most of it.", []string{"limit", "of"}, nil)
)

func (usageMetrics) Describe(out chan<- *prometheus.Desc) { out <- limitValue; out <- limitUsed }

func (m usageMetrics) Collect(out chan<- prometheus.Metric) {
	for _, u := range m.s.usages() {
		out <- prometheus.MustNewConstMetric(limitValue, prometheus.GaugeValue, float64(u.value()), u.limit.String(), u.of)
		out <- prometheus.MustNewConstMetric(limitUsed, prometheus.GaugeValue, u.ratio(), u.limit.String(), u.of)
	}
}

// limited counts an answer that names a limit.
func (m *metrics) limited(e *problemError) {
	if of, is := e.p.Error.Details["of"].(string); is && e.p.Limit != "" {
		m.over.WithLabelValues(e.p.Limit, of).Inc()
	}
}
