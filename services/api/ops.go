package api

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/headwayhq/headway/services/api/access"
	"github.com/headwayhq/headway/services/internal/program"
)

func (s *Service) livez(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

const (
	probeFor    = time.Second     // how long a positive result is relied on
	probeWithin = 2 * time.Second // for the store's answer
)

// probe makes concurrent callers of readyz share one check.
type probe struct{ group singleflight.Group }

func (s *Service) readyz(c echo.Context, p *access.Principal) error {
	stranger := p.May(access.Inspect) != nil && p.May(access.Send) != nil
	if err := s.ready(c.Request().Context()); err != nil {
		if stranger {
			return problem(http.StatusServiceUnavailable, "not_ready", "Not ready.").retry(2 * time.Second)
		}
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	answer := map[string]string{"status": "ok"}
	if warning := s.warning(); warning != "" && !stranger {
		answer["warning"] = warning
	}
	return c.JSON(http.StatusOK, answer)
}

// Ready reports whether the store answers and every partition's views were complete once. If they are being rebuilt, or
// lag, answers and metrics say so, since another instance of this program would know no more.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	return nil
}

// ready asks the store unless the last result was positive and recent; a failure is never cached. Any number of concurrent
// callers costs one read.
func (s *Service) ready(ctx context.Context) *problemError {
	if s.keys != nil && !s.keys.Known() {
		return problem(http.StatusServiceUnavailable, "not_ready", "The API keys haven't been read since the start.").retry(2 * time.Second)
	}
	if s.source.refreshedWithin(probeFor) && s.source.incomplete() == 0 {
		return nil
	}
	done := s.probe.group.DoChan("", func() (any, error) {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeWithin)
		defer cancel()
		_, err := s.source.refresh(limited)
		return nil, err
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return unavailable(r.Err)
		}
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
	if n := s.source.incomplete(); n > 0 {
		detail := strconv.Itoa(n) + " of " + strconv.Itoa(len(s.source.completed)) + " partitions haven't been complete since the start."
		if warning := s.warning(); warning != "" {
			detail += " " + warning
		}
		return problem(http.StatusServiceUnavailable, "views_rebuilding", detail).retry(2 * time.Second)
	}
	return nil
}

// metrics never have a batch or a namespace as a label: those belong to tenants.
type metrics struct {
	gatherer prometheus.Gatherer
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	events   *prometheus.CounterVec
	rows     prometheus.Counter // written to streams of lists
	skipped  prometheus.Counter // left out of streams of lists
	over     *prometheus.CounterVec

	kinds atomic.Pointer[map[kind]answered]
}

// kind of a request, and what counts it. There are few, so looking them up by their labels each time would be waste.
type (
	kind struct {
		route, method string
		status        int
		stream        bool
	}
	answered struct {
		requests prometheus.Counter
		seconds  prometheus.Observer // nil for a stream
	}
)

func (m *metrics) of(k kind) answered {
	known := m.kinds.Load()
	if a, ok := (*known)[k]; ok {
		return a
	}
	a := answered{requests: m.requests.WithLabelValues(k.route, k.method, strconv.Itoa(k.status))}
	if !k.stream {
		a.seconds = m.seconds.WithLabelValues(k.route)
	}
	more := maps.Clone(*known)
	more[k] = a
	m.kinds.CompareAndSwap(known, &more) // or the next one of this kind
	return a
}

func frames(stream string) prometheus.CounterOpts {
	return prometheus.CounterOpts{
		Name: "headway_api_frames_total", Help: "Events written to event streams, by whether the stream is that of a batch or of a list.",
		ConstLabels: prometheus.Labels{"stream": stream},
	}
}

func framesSkipped(stream string) prometheus.CounterOpts {
	return prometheus.CounterOpts{
		Name: "headway_api_frames_skipped_total", Help: "States that event streams left out, because a newer one was there when their client could be written to.",
		ConstLabels: prometheus.Labels{"stream": stream},
	}
}

func newMetrics(r *prometheus.Registry, s *Service) *metrics {
	if r == nil {
		r = program.NewRegistry()
	}
	m := &metrics{
		gatherer: r,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headway_api_requests_total", Help: "Requests answered, by route, method and status."}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "headway_api_request_duration_seconds", Help: "Time to answer, streams excluded.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"route"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headway_api_events_total", Help: "Events given to POST /v1/events, by outcome."}, []string{"outcome"}),
		rows:    prometheus.NewCounter(frames("list")),
		skipped: prometheus.NewCounter(framesSkipped("list")),
		over: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headway_api_limited_total", Help: "Requests answered with 429, by limit and by whether it is one of a principal, of a namespace or of the server. See docs/runbooks/HeadwayStreamsRefused.md."}, []string{"limit", "of"}),
	}
	m.kinds.Store(&map[kind]answered{})
	for _, outcome := range []string{"accepted", "refused", "failed"} {
		m.events.WithLabelValues(outcome) // so that the first increase is visible
	}
	for _, u := range s.usages() {
		if u.limit != heldBytes { // of which each principal and namespace has a share
			m.over.WithLabelValues(u.limit.String(), u.of)
		}
	}
	for _, of := range []string{ofPrincipal, ofNamespace} {
		m.over.WithLabelValues(heldBytes.String(), of)
	}
	r.MustRegister(m.requests, m.seconds, m.events, m.rows, m.skipped, m.over, usageMetrics{s},
		prometheus.NewCounterFunc(frames("batch"), func() float64 { n, _ := s.hub.Written(); return float64(n) }),
		prometheus.NewCounterFunc(framesSkipped("batch"), func() float64 { _, n := s.hub.Written(); return float64(n) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "headway_api_streams", Help: "Event streams open."},
			func() float64 { return float64(s.streams.len()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "headway_api_topics", Help: "Batches and lists kept in memory."},
			func() float64 { return float64(s.hub.Topics()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "headway_api_body_bytes", Help: "Bytes held by POSTs of events in progress."},
			func() float64 { return float64(s.bodies.held()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "headway_api_partitions", Help: "Partitions of the event log, whether they have an owner or not. See docs/runbooks/HeadwayPartitionUnowned.md."},
			func() float64 { return float64(len(s.source.newest)) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "headway_api_watermark_age_seconds",
			Help: "Age of the oldest partition's watermark: how far the views lag. +Inf while a partition has none. See docs/runbooks/HeadwayViewsLag.md and docs/runbooks/HeadwayFreshnessBurn.md."},
			func() float64 { return s.source.age(time.Now()) }))
	return m
}

// measured counts and times requests, and gives each answer that isn't a stream a deadline.
func (s *Service) measured(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		begin := time.Now()
		w := c.Response()
		_ = http.NewResponseController(w.Writer).SetWriteDeadline(begin.Add(writeTimeout)) // not every writer supports it
		err := next(c)
		if err != nil {
			c.Error(err)
		}
		route := c.Path()
		if route == "" {
			route = "none"
		}
		stream := w.Header().Get("Content-Type") == "text/event-stream; charset=utf-8"
		answered := s.metrics.of(kind{route, method(c.Request().Method), w.Status, stream})
		answered.requests.Inc()
		if !stream {
			answered.seconds.Observe(time.Since(begin).Seconds())
		}
		return nil
	}
}

// method limits what a client can put into a label.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions:
		return m
	}
	return "other"
}
