package program

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// Service is what a program does once its backends are reachable.
type Service struct {
	Handler http.Handler                // serves every request; nil: Ops with Ready
	Ready   func(context.Context) error // nil error: the service can do its work
	Run     func(context.Context) error // works until the context ends, then ends the streams of Handler
	Close   func()                      // closes the backends after Run has returned; may be nil
}

// Options of a Program. Listen and Open are required.
type Options struct {
	Name    string   // used in errors
	Listen  string   // host:port; port 0 picks a free one
	TLS     TLS      // the zero value serves no TLS
	Ops     OpsFlags // metrics and probes by themselves, without TLS
	Logger  *slog.Logger
	Metrics *prometheus.Registry
	// Guard is put in front of everything that the program serves, also while it waits; may be nil.
	Guard func(http.Handler) http.Handler
	// OpsGuard is the same for what Ops serves.
	OpsGuard func(http.Handler) http.Handler
	// Discreet programs tell nobody what they wait for, as they can't check yet who asks. Their log says it.
	Discreet bool
	// Open connects to the backends and creates the service. It may block for any time, and reports what it waits for.
	// An error ends the program.
	Open func(context.Context, *Waiting) (*Service, error)
}

// Program is one program. It can be started once.
type Program struct {
	o       Options
	waiting Waiting
	service atomic.Pointer[Service] // nil: waiting
	handler atomic.Pointer[http.Handler]

	ln     net.Listener
	secure *tls.Config  // nil: no TLS
	ops    net.Listener // nil: there is none
	cancel context.CancelFunc
	opened chan struct{}
	done   chan struct{}
	err    error // read after done
}

// New returns a program that does nothing until Start.
func New(o Options) *Program {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewRegistry()
	}
	p := &Program{o: o, opened: make(chan struct{}), done: make(chan struct{})}
	o.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "headway_ready", Help: "1 while /readyz says that the program can do its work. See docs/runbooks/HeadwayReadinessFlaps.md.",
	}, p.readiness))
	return p
}

// readyLimit limits how long a scrape waits for the answer that /readyz would give.
const readyLimit = 500 * time.Millisecond

func (p *Program) readiness() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), readyLimit)
	defer cancel()
	if p.Ready(ctx) != nil {
		return 0
	}
	return 1
}

// Start listens, and starts to connect to the backends and to work. It returns at once; after an error nothing was
// started. The program ends through Stop, with ctx, or by itself after an error.
func (p *Program) Start(ctx context.Context) error {
	if p.o.TLS.On() {
		var err error
		if p.secure, err = p.o.TLS.listen(p.o.Logger); err != nil {
			return err
		}
	}
	ln, err := net.Listen("tcp", p.o.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if p.o.Ops.OpsListen != "" {
		if p.ops, err = net.Listen("tcp", p.o.Ops.OpsListen); err != nil {
			_ = ln.Close()
			return fmt.Errorf("--ops-listen: %w", err)
		}
		p.o.Logger.Info("serving metrics", "address", p.OpsAddr())
	}
	ctx, p.cancel = context.WithCancel(ctx)
	p.ln = ln
	p.serveWith(p.whileWaiting())
	p.o.Logger.Info("listening", "address", p.Addr(), "scheme", p.o.TLS.Scheme())
	go func() {
		defer close(p.done)
		defer p.cancel()
		p.err = p.run(ctx)
	}()
	return nil
}

// Addr is where the program listens, as host:port. Valid after Start.
func (p *Program) Addr() string { return p.ln.Addr().String() }

// OpsAddr is where metrics and probes are served by themselves, as host:port; "" if they aren't. Valid after Start.
func (p *Program) OpsAddr() string {
	if p.ops == nil {
		return ""
	}
	return p.ops.Addr().String()
}

// Opened is closed once the backends are connected and the service serves.
func (p *Program) Opened() <-chan struct{} { return p.opened }

// Done is closed when the program has ended, for any reason.
func (p *Program) Done() <-chan struct{} { return p.done }

// Err is why the program ended, or nil if it was stopped. Valid after Done.
func (p *Program) Err() error { return p.err }

// Stop ends the program and waits for its end. It may be called more than once.
func (p *Program) Stop() error {
	p.cancel()
	<-p.done
	return p.err
}

// Run starts the program, and ends it with ctx.
func (p *Program) Run(ctx context.Context) error {
	if err := p.Start(ctx); err != nil {
		return err
	}
	<-p.done
	return p.err
}

// Ready returns nil once the program can do its work.
func (p *Program) Ready(ctx context.Context) error {
	if s := p.service.Load(); s != nil {
		return s.Ready(ctx)
	}
	return p.waiting.Err()
}

func (p *Program) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.serve(ctx, p.ln, guarded(p.o.Guard, p.front())) })
	if p.ops != nil {
		g.Go(func() error { return p.serve(ctx, p.ops, guarded(p.o.OpsGuard, Ops(p.o.Metrics, p.Ready))) })
	}
	g.Go(func() error {
		defer p.cancel() // the end of the service ends the program
		s, err := p.o.Open(ctx, &p.waiting)
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the program was stopped while it waited
			}
			return err
		}
		if s.Handler == nil {
			s.Handler = Ops(p.o.Metrics, s.Ready)
		}
		p.service.Store(s)
		p.serveWith(s.Handler)
		close(p.opened)
		p.o.Logger.Info("backends reached, service started")
		return s.Run(ctx)
	})
	err := g.Wait()
	if s := p.service.Load(); s != nil && s.Close != nil {
		s.Close() // only now, because requests in progress still used the backends
	}
	return err
}

// whileWaiting serves the probes, and answers every other request with what the program waits for.
func (p *Program) whileWaiting() http.Handler {
	metrics, ready := p.o.Metrics, p.Ready
	if p.o.Discreet {
		metrics, ready = prometheus.NewRegistry(), func(context.Context) error { return errStarting }
	}
	mux := Ops(metrics, ready)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r.Context()); err != nil {
			Unready(w, r, err)
			return
		}
		Unready(w, r, errStarting)
	})
	return mux
}

func (p *Program) serveWith(h http.Handler) { p.handler.Store(&h) }

// Limits of the server. There is no WriteTimeout, because streams are written for as long as they live; handlers set
// their own deadlines.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 32 << 10
	stopWithin    = 800 * time.Millisecond
)

// bodyTimeout is how long a body may take of which the handler says nothing else. A server sends no answer before it has read what is left
// of a body, so without it a client could hold a connection for ever, whatever it is refused.
const bodyTimeout = 30 * time.Second

func bodiesEnd(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // not every writer supports it
		}
		next.ServeHTTP(w, r)
	})
}

func guarded(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
	if guard == nil {
		return h
	}
	return guard(h)
}

// front passes requests to the present handler. Metrics that have a listener of their own aren't here.
func (p *Program) front() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.ops != nil && r.URL.Path == "/metrics" {
			Refuse(w, r, http.StatusNotFound, "route_not_found", "Not Found.")
			return
		}
		(*p.handler.Load()).ServeHTTP(w, r)
	})
}

// serve answers requests until ctx ends. Requests in progress then have a short time to finish.
func (p *Program) serve(ctx context.Context, ln net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           bodiesEnd(handler),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(p.o.Logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		if server.Shutdown(limited) != nil {
			_ = server.Close()
		}
	})
	err := p.accept(server, ln)
	if !stop() {
		<-ended
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: serve: %w", p.o.Name, err)
	}
	return nil
}

// accept serves connections until the server is closed.
func (p *Program) accept(server *http.Server, ln net.Listener) error {
	if p.secure == nil || ln != p.ln {
		return server.Serve(ln)
	}
	server.TLSConfig = p.secure
	return server.ServeTLS(ln, "", "")
}
