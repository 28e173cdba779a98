package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/history"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
	"github.com/headwayhq/headway/services/api/dashboard"
	"github.com/headwayhq/headway/services/internal/printable"
)

// Service is the api. Create it with New, serve Handler and run Work.
type Service struct {
	log       *slog.Logger
	events    Publisher
	eraser    Eraser
	keys      *access.Keys     // nil: everybody may do everything
	tickets   *access.Tickets  // nil: there are none
	provider  *access.Provider // nil: nobody can sign in at an identity provider
	source    *source
	feed      feed
	stale     *staleSet
	hub       *push.Hub
	lists     *lists
	limits    Limits
	echo      *echo.Echo
	beside    *http.ServeMux
	besides   []string // how the paths of its patterns begin
	metrics   *metrics
	limiter   *limiter
	streams   *gate // by namespace
	streamers *gate // the same, by principal
	waiters   *gate // streams of batches that nobody has heard of, by namespace
	callers   *gate // the same, by who asked
	bodies    *budget
	seen      seen
	probe     probe
	gzip      compressor
	warning   func() string

	changes      *recent
	changesReads chan struct{}
	past         past

	finished      func(context.Context) (*history.Rows, error)
	finishedReads chan struct{}
	runsReads     chan struct{}

	snapshotFields, explanationFields []string
	docsPolicy, plainPolicy           string
	dashboard                         *dashboard.Dashboard
	plain                             []byte // the page where there is no dashboard
}

func newService(o Options, partitions int, s store, f feed) *Service {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Limits.fill()
	if o.Push.Logger == nil {
		o.Push.Logger = o.Logger
	}
	if o.Push.Heartbeat == 0 {
		o.Push.Heartbeat = o.Limits.Heartbeat
	}
	page, err := dashboard.Load(o.Limits.BasePath)
	if err != nil { // embedded files can always be read
		panic("api: the dashboard: " + err.Error())
	}
	page.Tell("nats", printable.Address(o.NATS))
	limiter, err := newLimiter(&o.Limits, o.Keys != nil)
	if err != nil { // Check has found it
		panic("api: limits: " + err.Error())
	}
	source := newSource(s, f, o.Policies, partitions, o.Partition, o.Limits.Fresh)
	source.linkHosts = o.Limits.LinkHosts
	source.archive, _ = o.Log.(Archive)
	hub := push.New(source, o.Push)
	source.clock.renew = hub.Renew
	svc := &Service{
		log: o.Logger, events: o.Log, eraser: o.Log, keys: o.Keys, tickets: o.Tickets, provider: o.Provider, limits: o.Limits, limiter: limiter, source: source, feed: f, stale: newStaleSet(), hub: hub,
		lists:   newLists(source, s, f, o.Logger),
		streams: newGate(o.Limits.Streams), streamers: newGate(0), waiters: newGate(0), callers: newGate(0),
		bodies: newBudget(o.Limits.Bodies),
		beside: http.NewServeMux(),

		changes:      newRecent(o.Log, o.Logger, o.Limits.Changes),
		changesReads: make(chan struct{}, changesAtOnce),
		past:         past{log: o.Log, most: o.Limits.PastEvents, reads: make(chan struct{}, pastAtOnce)},

		finished: o.Finished, finishedReads: make(chan struct{}, finishedAtOnce), runsReads: make(chan struct{}, runsAtOnce),

		snapshotFields:    fieldsOf[diagnostics.Snapshot](),
		explanationFields: fieldsOf[diagnostics.Explanation](),
		docsPolicy:        docsPolicy(),
		plainPolicy:       plainPolicy(),
		dashboard:         page,
		plain:             dashboard.Under(o.Limits.BasePath, plainPage),
	}
	if svc.warning = o.warning; svc.warning == nil {
		svc.warning = func() string { return "" }
	}
	svc.metrics = newMetrics(o.Metrics, svc)
	svc.echo = svc.routes()
	for pattern, h := range o.Beside {
		svc.beside.Handle(pattern, h)
		begin, _, _ := strings.Cut(pattern[strings.IndexByte(pattern, '/'):], "{")
		svc.besides = append(svc.besides, begin)
	}
	return svc
}

// Handler serves the api, for callers with a server of their own. It serves every path with and without the base path, because some
// proxies remove it and some don't.
func (s *Service) Handler() http.Handler {
	whole := s.handler()
	base := s.limits.BasePath
	if base == "" {
		return whole
	}
	below := http.StripPrefix(base, whole)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == base: // relative links of a page there would lead elsewhere
			http.Redirect(w, r, base+"/", http.StatusPermanentRedirect)
		case strings.HasPrefix(r.URL.Path, base+"/"):
			below.ServeHTTP(w, r)
		default:
			whole.ServeHTTP(w, r)
		}
	})
}

func (s *Service) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, begin := range s.besides {
			if !strings.HasPrefix(r.URL.Path, begin) { // which costs less than to ask the mux each time
				continue
			}
			if _, pattern := s.beside.Handler(r); pattern != "" {
				s.beside.ServeHTTP(w, r)
				return
			}
			break
		}
		s.echo.ServeHTTP(w, r)
	})
}

// writeTimeout is the deadline of an answer that isn't a stream. Streams have a deadline for each write.
const writeTimeout = 30 * time.Second

// Work keeps views and lists up to date until ctx ends, beside the server that serves Handler. Then it ends the open streams.
func (s *Service) Work(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { <-ctx.Done(); s.hub.Close(); return nil })
	g.Go(func() error { return s.hub.Run(ctx) })
	g.Go(func() error { return s.lists.run(ctx) })
	g.Go(func() error { return s.follow(ctx) })
	g.Go(func() error { return s.stale.run(ctx, s.hub) })
	g.Go(func() error { return s.feed.run(ctx, s) })
	g.Go(func() error { return s.changes.run(ctx) })
	if s.keys != nil {
		g.Go(func() error { return s.keys.Run(ctx) })
	}
	defer s.hub.Wait()
	return g.Wait()
}

// follow reads the fences once a second. They determine the moment of evaluation, how fresh the views are, and which verdicts of rows
// have ended.
func (s *Service) follow(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, storeWithin)
		_, err := s.source.refresh(limited)
		if err == nil {
			err = s.lists.settleAll(limited)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("following the partitions failed", "error", err)
		}
		cancel()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
