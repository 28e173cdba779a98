package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/dashboard"
)

// Publisher is where events are kept. Publish returns once the log has acknowledged the event, with its
// sequence; it may be called concurrently.
type Publisher interface {
	Publish(ctx context.Context, subject string, header nats.Header, data []byte) (uint64, error)
}

// Limits of the api; zero values mean the defaults.
type Limits struct {
	Body                int64 // bytes of a POST; default 16 MiB
	Events              int   // per batch POST; default 1,000
	Posts               int   // at once; default 64
	Streams             int   // in total; default 20,000
	StreamsPerNamespace int   // default 5,000
	StreamIDs           int   // in ?ids=; default 100
}

func (l *Limits) fill() {
	set := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	if l.Body <= 0 {
		l.Body = 16 << 20
	}
	set(&l.Events, 1000)
	set(&l.Posts, 64)
	set(&l.Streams, 20_000)
	set(&l.StreamsPerNamespace, 5_000)
	set(&l.StreamIDs, 100)
}

// settings are what a Service needs once the view store is behind its adapter.
type settings struct {
	log        Publisher
	views      views
	feed       func(*Service) feed
	policies   Policies
	partitions int
	partition  func(ns, batch string) int
	beside     map[string]http.Handler
	limits     Limits
	push       push.Config
	fresh      time.Duration
	registry   *prometheus.Registry
	logger     *slog.Logger
}

// Service is the api. Make it with New, then Run it.
type Service struct {
	log      *slog.Logger
	events   Publisher
	source   *source
	hub      *push.Hub
	lists    *lists
	policies Policies
	limits   Limits
	push     push.Config
	fresh    time.Duration
	echo     *echo.Echo
	beside   *http.ServeMux
	metrics  *metrics
	streams  *gate
	posts    *gate
	seen     seen
	probe    probe
	gzip     compressor

	snapshotFields, explanationFields []string
	docsPolicy, plainPolicy           string
	dashboard                         *dashboard.Dashboard
}

func newService(o settings) *Service {
	if o.logger == nil {
		o.logger = slog.New(slog.DiscardHandler)
	}
	if o.fresh <= 0 {
		o.fresh = 30 * time.Second
	}
	o.limits.fill()
	if o.push.Logger == nil {
		o.push.Logger = o.logger
	}
	s := &Service{
		log: o.logger, events: o.log, policies: o.policies, limits: o.limits, push: o.push, fresh: o.fresh,
		streams: newGate(o.limits.Streams, o.limits.StreamsPerNamespace),
		posts:   newGate(o.limits.Posts, o.limits.Posts),

		snapshotFields:    fieldsOf[diagnostics.Snapshot](),
		explanationFields: fieldsOf[diagnostics.Explanation](),
		docsPolicy:        docsPolicy(),
		plainPolicy:       plainPolicy(),
	}
	page, err := dashboard.Load()
	if err != nil { // what is inside the program can be read
		panic("api: the dashboard: " + err.Error())
	}
	s.dashboard = page
	s.source = newSource(o.views, o.feed(s), o.policies, o.partitions, o.partition)
	s.hub = push.New(s.source, o.push)
	s.lists = newLists(s.source, s.hub.Done(), o.logger)
	s.metrics = newMetrics(o.registry, s)
	s.echo, s.beside = s.routes(), http.NewServeMux()
	for pattern, h := range o.beside {
		s.beside.Handle(pattern, h)
	}
	return s
}

// Handler serves the api, for those who bring their own server.
func (s *Service) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := s.beside.Handler(r); pattern != "" {
			s.beside.ServeHTTP(w, r)
			return
		}
		s.echo.ServeHTTP(w, r)
	})
}

func (s *Service) routes() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect() // no proxy is trusted
	e.HTTPErrorHandler = s.onError
	e.Use(s.measured, s.recovered)
	get := func(path string, h echo.HandlerFunc) {
		e.GET(path, h)
		e.HEAD(path, h)
	}
	const batch = "/v1/analytics/performance/batches/:batch_id/diagnostics"
	get(batch, s.getDiagnostics)
	get(batch+"/stream", s.streamDiagnostics)
	get(batch+"/explain", s.explainDiagnostics)
	get("/v1/batches", s.getBatches)
	get("/v1/batches/stream", s.streamBatches)
	e.POST("/v1/events", s.postEvents)
	get("/livez", s.livez)
	get("/readyz", s.readyz)
	get("/openapi.json", s.getOpenAPI)
	get("/docs", s.getDocs)
	get("/", s.getPage)
	get("/batches/:batch_id", s.getPage)
	get("/assets/*", s.getAsset)
	get("/metrics", echo.WrapHandler(s.metrics.handler()))
	return e
}

// The server's limits. Streams are written for as long as they live, so there is no WriteTimeout;
// each write has a deadline of its own.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 32 << 10
	writeTimeout  = 30 * time.Second
	readTimeout   = 60 * time.Second
	stopWithin    = 800 * time.Millisecond
)

// Run serves on ln until ctx ends: streams are ended first, then requests under way have a moment to
// finish. It closes ln.
func (s *Service) Run(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	g, work := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Work(work) })
	g.Go(func() error {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("api: serve: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-work.Done()
		s.hub.Close()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		if err := server.Shutdown(stop); err != nil {
			return server.Close()
		}
		return nil
	})
	return g.Wait()
}

// Work keeps views and lists true until ctx ends. Run calls it; whoever serves Handler with a server of
// its own calls it beside.
func (s *Service) Work(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.hub.Run(ctx) })
	g.Go(func() error { return s.lists.run(ctx) })
	g.Go(func() error { return s.follow(ctx) })
	if f, ok := s.source.feed.(interface{ run(context.Context) error }); ok {
		g.Go(func() error { return f.run(ctx) })
	}
	return g.Wait()
}

// follow reads the fences once a second while anything is warm: they move the moment of evaluation.
func (s *Service) follow(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if s.hub.Topics() == 0 && s.lists.len() == 0 {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		if _, err := s.source.refresh(limited); err != nil && ctx.Err() == nil {
			s.log.Warn("api: fences weren't read", "error", err)
		}
		cancel()
	}
}

// gate counts what is under way, in total and per namespace.
type gate struct {
	total, each int

	mu  sync.Mutex
	n   int
	per map[string]int
}

func newGate(total, each int) *gate { return &gate{total: total, each: each, per: map[string]int{}} }

func (g *gate) enter(ns string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n >= g.total || g.per[ns] >= g.each {
		return false
	}
	g.n++
	g.per[ns]++
	return true
}

func (g *gate) leave(ns string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.per[ns]--; g.per[ns] == 0 {
		delete(g.per, ns)
	}
}

func (g *gate) len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}
