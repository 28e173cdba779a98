package api

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func (s *Service) livez(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

// probe keeps the last finding of readyz for a moment, so that asking often costs the store nothing.
type probe struct {
	mu  sync.Mutex
	at  time.Time
	err *problemError
}

const probeFor = time.Second

func (s *Service) readyz(c echo.Context) error {
	if err := s.ready(c.Request().Context(), time.Now()); err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

// Ready reports whether the store is reached and the views are complete and fresh.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.ready(ctx, time.Now()); err != nil {
		return err
	}
	return nil
}

func (s *Service) ready(ctx context.Context, now time.Time) *problemError {
	s.probe.mu.Lock()
	defer s.probe.mu.Unlock()
	if now.Sub(s.probe.at) < probeFor {
		return s.probe.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	s.probe.err = s.examine(ctx, now)
	s.probe.at = time.Now()
	return s.probe.err
}

func (s *Service) examine(ctx context.Context, now time.Time) *problemError {
	all, err := s.source.refresh(ctx)
	if err != nil {
		return unavailable(err)
	}
	missing, oldest := 0, time.Duration(0)
	for _, f := range all {
		if f == nil || !f.complete {
			missing++
			continue
		}
		oldest = max(oldest, now.Sub(f.watermark))
	}
	switch {
	case missing > 0:
		return problem(http.StatusServiceUnavailable, "views_rebuilding",
			strconv.Itoa(missing)+" of "+strconv.Itoa(len(all))+" partitions aren't complete yet.").retry(2 * time.Second)
	case oldest > s.fresh:
		return problem(http.StatusServiceUnavailable, "views_stale",
			"The views are "+oldest.Round(time.Second).String()+" behind.").retry(2 * time.Second)
	}
	return nil
}

// metrics never carry a batch or a namespace: those belong to tenants.
type metrics struct {
	gatherer prometheus.Gatherer
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	events   *prometheus.CounterVec
}

func newMetrics(r *prometheus.Registry, s *Service) *metrics {
	if r == nil {
		r = prometheus.NewRegistry()
		r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
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
	}
	r.MustRegister(m.requests, m.seconds, m.events,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "headway_api_streams", Help: "Event streams open."},
			func() float64 { return float64(s.streams.len()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "headway_api_topics", Help: "Batches kept warm."},
			func() float64 { return float64(s.hub.Topics()) }))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.gatherer, promhttp.HandlerOpts{})
}

// measured counts and times requests, and gives each answer that isn't a stream a deadline.
func (s *Service) measured(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		begin := time.Now()
		w := c.Response()
		_ = http.NewResponseController(w.Writer).SetWriteDeadline(begin.Add(writeTimeout)) // not every writer can
		err := next(c)
		if err != nil {
			c.Error(err)
		}
		route := c.Path()
		if route == "" {
			route = "none"
		}
		s.metrics.requests.WithLabelValues(route, method(c.Request().Method), strconv.Itoa(w.Status)).Inc()
		if w.Header().Get("Content-Type") != "text/event-stream; charset=utf-8" {
			s.metrics.seconds.WithLabelValues(route).Observe(time.Since(begin).Seconds())
		}
		return nil
	}
}

// method bounds what a client can put into a label.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions:
		return m
	}
	return "other"
}
