package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/api"
	"github.com/headwayhq/headway/services/api/access"
	"github.com/headwayhq/headway/services/detector"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
	"github.com/headwayhq/headway/services/internal/program"
	"github.com/headwayhq/headway/services/relay"
	relayapp "github.com/headwayhq/headway/services/relay/app"
)

// Flags are the flags of a Headway in one process.
type Flags struct {
	Demo       bool               `help:"Send a demo workload through the HTTP API." env:"HEADWAY_DEMO"`
	Listen     string             `help:"Address of the API; port 0 picks a free one." default:"127.0.0.1:8080" env:"HEADWAY_LISTEN"`
	NATSListen string             `name:"nats-listen" help:"Address of the embedded NATS; port 0 picks a free one." default:"127.0.0.1:4222" env:"HEADWAY_NATS_LISTEN"`
	NATSURL    string             `name:"nats-url" help:"Use this NATS instead of the embedded one." env:"HEADWAY_NATS_URL"`
	RedisURL   string             `name:"redis-url" help:"Use this Redis instead of one found or embedded." env:"HEADWAY_REDIS_URL"`
	NATS       backend.NATSLogin  `embed:""`
	Redis      backend.RedisLogin `embed:""`
	DataDir    string             `help:"Where the event log and saved views are kept (default ${data_dir})." placeholder:"DIR" env:"HEADWAY_DATA_DIR"`
	Partitions int                `help:"Partitions of a new event log (default 32); an existing one keeps its own." placeholder:"N" env:"HEADWAY_PARTITIONS"`
	Policy     string             `help:"File of thresholds (YAML or JSON)." type:"existingfile" env:"HEADWAY_POLICY"`
	relayapp.Sources
	API    api.Limits   `embed:""`
	Ingest ingest.Flags `embed:""`
	Access access.Flags `embed:""`
	TLS    program.TLS  `embed:""`

	Ops program.OpsFlags `embed:""`
}

// DefaultDataDir is $XDG_DATA_HOME/headway, else ~/.local/share/headway.
func DefaultDataDir() string {
	if d := os.Getenv("XDG_DATA_HOME"); d != "" {
		return filepath.Join(d, "headway")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "."
	}
	return filepath.Join(home, ".local", "share", "headway")
}

// Headway is all of Headway in one program, with embedded servers unless addresses are given.
type Headway struct {
	*program.Program

	flags    Flags
	log      *slog.Logger
	policies *policy.Set
	ray      relay.Options
	metrics  *prometheus.Registry
	servers  *servers // set before Opened is closed, like the following

	keys     *access.Keys // nil: no access control
	firstKey string       // made at this start; "" if there were keys before
}

// New checks the flags and returns a Headway that does nothing until Start.
func New(f Flags, log *slog.Logger) (*Headway, error) {
	h := &Headway{flags: f, log: log, metrics: program.NewRegistry()}
	if err := h.check(); err != nil {
		return nil, err
	}
	f.Access.Warn(f.Listen, f.TLS.On(), log)
	h.Program = program.New(program.Options{Name: "run", Listen: f.Listen, TLS: f.TLS, Logger: log, Metrics: h.metrics, Guard: f.Access.Guard(f.Listen, relay.IsReceived), Discreet: f.Access.Keyed(), Open: h.open,
		Ops: f.Ops, OpsGuard: f.Access.Guard(f.Ops.OpsListen, nil)})
	return h, nil
}

// check finds what is misconfigured before anything is started.
func (h *Headway) check() (err error) {
	f := &h.flags
	if f.DataDir == "" {
		f.DataDir = DefaultDataDir()
	}
	if err := f.Ingest.Validate(); err != nil {
		return err
	}
	if h.policies, err = policy.Load(f.Policy); err != nil {
		return err
	}
	if f.Policy == "" && f.Demo {
		h.policies = policy.Demo()
	}
	if h.ray, err = f.Options(h.log); err != nil {
		return err
	}
	given := h.backends(f.NATSURL, f.RedisURL)
	if given.NATSURL == "" && f.NATS.Given() {
		return errors.New("--nats-url: must be given with credentials for NATS: the embedded one takes none")
	}
	if given.RedisURL == "" && f.Redis.Given() {
		return errors.New("--redis-url: must be given with credentials for Redis: the embedded one takes none")
	}
	if given.NATSURL == "" {
		given.NATSURL = "nats://" + f.NATSListen
	}
	if given.RedisURL == "" {
		given.RedisURL = "redis://127.0.0.1"
	}
	if err := given.Validate(); err != nil {
		return err
	}
	if err := f.API.Check(); err != nil {
		return err
	}
	if err := f.TLS.Check(); err != nil {
		return err
	}
	if f.Demo && f.TLS.ClientCAFile != "" {
		return errors.New("--demo: can't send to an API that requires client certificates")
	}
	if !access.OnLoopback(f.NATSListen) && f.NATSURL == "" && !f.Access.AllowUnauthenticated {
		return errors.New("--nats-listen: the embedded NATS takes no credentials, and who can write to it can make keys. Run a NATS of your own with --nats-url, or allow it with --allow-unauthenticated")
	}
	return f.Access.Check(f.Listen)
}

// open starts the servers, connects to them and assembles the services.
func (h *Headway) open(ctx context.Context, waiting *program.Waiting) (_ *program.Service, err error) {
	s, err := startServers(ctx, &h.flags, h.log)
	if err != nil {
		return nil, err
	}
	h.servers = s
	s.running.API = h.URL()
	forget, err := s.running.write(h.flags.DataDir)
	if err != nil {
		s.stop()
		return nil, err
	}
	servers := h.backends(s.natsURL, s.redisURL)
	servers.Waiting = waiting
	b, err := backend.Connect(ctx, servers)
	closing := func() {
		if b != nil {
			b.Close()
		}
		forget()
		s.stop()
	}
	if err != nil {
		closing()
		return nil, err
	}
	if s.loaded {
		err = h.takeOver(ctx, b.Store)
	}
	if err == nil && h.flags.Access.Keyed() {
		err = h.openKeys(ctx, b)
	}
	var service *program.Service
	if err == nil {
		service, err = h.assemble(b)
	}
	if err != nil {
		closing()
		return nil, err
	}
	service.Close = closing
	return service, nil
}

// takeOver makes views that were saved at the last end usable at once.
func (h *Headway) takeOver(ctx context.Context, views *viewstore.Store) error {
	found, err := views.Vacate(ctx)
	if err == nil && !found {
		h.log.Warn("saved views are of another event log or version, removed them to rebuild all from the event log")
	}
	return err
}

// backends are the servers at these addresses, with the credentials that were given.
func (h *Headway) backends(natsURL, redisURL string) backend.Options {
	return backend.Options{
		NATSURL: natsURL, RedisURL: redisURL, NATS: h.flags.NATS, Redis: h.flags.Redis, Name: "headway", Logger: h.log,
		Stream: eventlog.Config{Partitions: h.flags.Partitions},
	}
}

// openKeys opens the API keys, and makes the first one.
func (h *Headway) openKeys(ctx context.Context, b *backend.Backend) (err error) {
	if h.keys, err = access.Open(b.Conn, 1, h.log); err != nil {
		return err
	}
	h.keys.Set(h.flags.Access)
	h.firstKey, err = h.keys.First(ctx)
	return err
}

// assemble runs all services on one pair of connections and one listener.
func (h *Headway) assemble(b *backend.Backend) (*program.Service, error) {
	h.metrics.MustRegister(b.Storage())
	ingesting := ingest.Options{Log: b.Log, Store: b.Store, Policies: h.policies, Member: backend.Member(), Logger: h.log, Metrics: h.metrics, Namespaces: h.flags.Ingest.Namespaces, Memory: int64(h.flags.Ingest.Memory)}
	ingesting.Rows = func(generation string) ingest.Rows { return b.Rows(generation) }
	h.flags.Ingest.Ages(&ingesting)
	in := ingest.New(ingesting)
	det := detector.New(detector.Options{Log: b.Log, Store: detector.OnStore(b.Store), Policies: h.policies, BaseURL: h.URL(), Logger: h.log, Metrics: h.metrics})
	ray := h.ray
	ray.Publisher, ray.Logger, ray.Metrics = relay.NewLog(b.Conn), h.log, h.metrics
	ray.Proving.Health = relay.Feed{Conn: b.Conn}
	if len(h.flags.RayProof) == 0 && access.OnLoopback(h.flags.Listen) { // only people on this machine see the texts
		ray.Proving.Namespaces = []string{"*"}
	}
	rel, err := relay.New(ray)
	if err != nil {
		return nil, err
	}
	var tickets *access.Tickets
	var provider *access.Provider
	if h.keys != nil {
		provider = access.NewProvider(h.flags.Access, h.log)
		tickets = access.NewTickets(b.Redis, h.keys)
	}
	front := api.New(api.Options{
		Log: b.Log, Store: b.Store, Policies: h.policies, Partition: b.Log.Partition, Identity: b.Identity, Finished: b.PresentRows, Limits: h.flags.API, Metrics: h.metrics, Logger: h.log,
		Beside: map[string]http.Handler{relay.ReceiverPattern: rel.Receiver()}, Keys: h.keys, Tickets: tickets, Provider: provider, NATS: h.servers.natsURL,
	})
	ready := func(ctx context.Context) error {
		if err := in.Ready(); err != nil {
			return err
		}
		return front.Ready(ctx)
	}
	return &program.Service{
		Handler: h.tellsTrouble(front, ready), Ready: func(ctx context.Context) error {
			if err := h.trouble(ctx, ready); err != nil {
				return err
			}
			return ready(ctx)
		},
		Run: func(ctx context.Context) error {
			g, ctx := errgroup.WithContext(ctx)
			for _, run := range []func(context.Context) error{in.Run, det.Run, front.Work, rel.Run, h.servers.watch} {
				g.Go(func() error { return run(ctx) })
			}
			return g.Wait()
		},
	}, nil
}

// trouble says what happened to an embedded server, until everything is ready again.
func (h *Headway) trouble(ctx context.Context, ready func(context.Context) error) error {
	trouble, since := h.servers.trouble()
	if trouble == "" {
		return nil
	}
	err := ready(ctx)
	if err == nil && time.Since(since) < troubleFor {
		err = errRebuilding
	}
	if err != nil {
		return fmt.Errorf("%s; %w", trouble, err)
	}
	h.servers.recovered()
	return nil
}

// tellsTrouble makes /readyz report what happened to an embedded server.
func (h *Headway) tellsTrouble(front *api.Service, ready func(context.Context) error) http.Handler {
	handler := front.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			if err := h.trouble(r.Context(), ready); err != nil {
				if front.Stranger(r) {
					err = errNotReady
				}
				program.Unready(w, r, err)
				return
			}
		}
		handler.ServeHTTP(w, r)
	})
}

// troubleFor is how long after the end of a server its readiness is ignored: readiness is derived from heartbeats that
// may be older than the end.
const troubleFor = 3 * time.Second

var (
	errRebuilding = errors.New("views are being rebuilt from the event log")
	errNotReady   = errors.New("not ready")
)

// URL is the address of the API, from this machine if it listens on all addresses. Valid after Start.
func (h *Headway) URL() string {
	host, port, _ := net.SplitHostPort(h.Addr())
	if net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	return h.flags.TLS.Scheme() + "://" + net.JoinHostPort(host, port)
}
