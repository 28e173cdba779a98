package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/runtime"
	"github.com/headwayhq/headway/pkg/simulator"
	"github.com/headwayhq/headway/services/api"
	"github.com/headwayhq/headway/services/detector"
	"github.com/headwayhq/headway/services/headway/embedded"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
	"github.com/headwayhq/headway/services/relay"
	"github.com/headwayhq/headway/services/relay/kuberay"
)

// Run is headway run.
type Run struct {
	Config     kong.ConfigFlag `help:"Configuration file (YAML): flags by their names." env:"HEADWAY_CONFIG"`
	Demo       bool            `help:"Send a demo workload through the front door." env:"HEADWAY_DEMO"`
	Listen     string          `help:"Address of the API; port 0 picks a free one." default:"127.0.0.1:8080" env:"HEADWAY_LISTEN"`
	NATSListen string          `name:"nats-listen" help:"Address of the embedded NATS; port 0 picks a free one." default:"127.0.0.1:4222" env:"HEADWAY_NATS_LISTEN"`
	NATSURL    string          `name:"nats-url" help:"Use this NATS instead of the embedded one." env:"HEADWAY_NATS_URL"`
	RedisURL   string          `name:"redis-url" help:"Use this Redis instead of one found or embedded." env:"HEADWAY_REDIS_URL"`
	DataDir    string          `help:"Where the event log is kept (default ${data_dir})." placeholder:"DIR" env:"HEADWAY_DATA_DIR"`
	Partitions int             `help:"Partitions of a new event log (default 32); an existing one keeps its own." placeholder:"N" env:"HEADWAY_PARTITIONS"`
	Policy     string          `help:"File of thresholds (YAML or JSON)." type:"existingfile" env:"HEADWAY_POLICY"`
	LogLevel   string          `help:"debug, info, warn or error." default:"warn" env:"HEADWAY_LOG_LEVEL"`

	relay.Flags
	Kube kuberay.Flags `embed:""`
	API  api.Limits    `embed:""`

	AllowUnauthenticated bool `help:"Listen beyond loopback although anybody may then read every namespace." env:"HEADWAY_ALLOW_UNAUTHENTICATED"`

	Stdout io.Writer `kong:"-"`
	Stderr io.Writer `kong:"-"`
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

// stopLimit bounds what is left to do after the services have ended.
const stopLimit = 1500 * time.Millisecond

// Serve runs until ctx ends. In order: servers, connections, services, the banner and the ready line.
func (r *Run) Serve(ctx context.Context) (err error) {
	log := runtime.Logger(r.Stderr, r.LogLevel)
	policies, err := runtime.LoadPolicies(r.Policy)
	if err == nil && r.Policy == "" && r.Demo {
		policies = runtime.DemoPolicies()
	}
	if err != nil {
		return err
	}
	ray, err := r.Options()
	if err != nil {
		return err
	}
	source, err := r.Kube.Source(log)
	if err != nil {
		return err
	}
	if source != nil {
		ray.Sources = append(ray.Sources, source)
	}
	if err := backend.LoopbackOnly(r.Listen, r.AllowUnauthenticated); err != nil {
		return err
	}
	if r.DataDir == "" {
		r.DataDir = DefaultDataDir()
	}
	var cleanups runtime.Cleanups
	defer func() { err = errors.Join(err, cleanups.Run(stopLimit)) }()

	ln, err := net.Listen("tcp", r.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	cleanups.Add("listener", func(context.Context) error { _ = ln.Close(); return nil })
	running := Running{API: "http://" + ln.Addr().String()}
	natsURL, kept := r.NATSURL, "in "+r.NATSURL
	if natsURL == "" {
		url, stop, err := embedded.NATS(r.NATSListen, r.DataDir)
		if err != nil {
			return err
		}
		natsURL, kept = url, filepath.Join(r.DataDir, "nats")
		running.NATS = url
		cleanups.Add("nats", func(context.Context) error { stop(); return nil })
	}
	views := r.RedisURL
	if r.RedisURL == "" {
		rd, err := embedded.StartRedis(ctx, r.DataDir)
		if err != nil {
			return err
		}
		r.RedisURL, views = rd.URL, rd.What
		running.Redis = rd.URL
		cleanups.Add("redis", func(context.Context) error { rd.Stop(); return nil })
	}
	if err := running.write(r.DataDir); err != nil {
		return err
	}
	cleanups.Add("running.json", func(context.Context) error { _ = os.Remove(runningFile(r.DataDir)); return nil })
	b, err := backend.Connect(ctx, backend.Options{
		NATSURL: natsURL, RedisURL: r.RedisURL, Name: "headway", Logger: log, Stream: eventlog.Config{Partitions: r.Partitions},
	})
	if err != nil {
		return err
	}
	cleanups.Add("connections", func(context.Context) error { b.Close(); return nil })

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	in := ingest.New(ingest.Options{Log: b.Log, Store: b.Store, Policies: policies, Member: backend.Member(), Logger: log, Metrics: registry})
	url := "http://" + ln.Addr().String()
	det := detector.New(detector.Options{Log: b.Log, Store: detector.OnStore(b.Store), Policies: policies, BaseURL: url, Logger: log, Metrics: registry})
	ray.Publisher, ray.Logger, ray.Metrics = relay.NewLog(b.Conn), log, registry
	rel, err := relay.New(ray)
	if err != nil {
		return err
	}
	front := api.New(api.Options{
		Log: b.Log, Store: b.Store, Policies: policies, Partition: b.Log.Partition, Identity: b.Identity, Limits: r.API, Metrics: registry, Logger: log,
		Beside: map[string]http.Handler{relay.ReceiverPattern: rel.Receiver()},
	})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return in.Run(ctx) })
	g.Go(func() error { return det.Run(ctx) })
	g.Go(func() error { return front.Run(ctx, ln) })
	g.Go(func() error { return rel.Run(ctx) })
	g.Go(func() error {
		if err := awaitReady(ctx, in.Ready, func() error { return front.Ready(ctx) }); err != nil {
			return nil //nolint:nilerr // ctx ended first
		}
		workload := demoConfig(time.Now())
		r.banner(url, natsURL, kept, views, workload)
		fmt.Fprintf(r.Stdout, "ready api=%s nats=%s\n", url, natsURL)
		if !r.Demo {
			return nil
		}
		return runDemo(ctx, url, workload, r.Stderr)
	})
	return g.Wait()
}

// awaitReady waits until all checks are nil.
func awaitReady(ctx context.Context, checks ...func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ready := true
		for _, check := range checks {
			ready = ready && check() == nil
		}
		if ready {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (r *Run) banner(url, natsURL, kept, views string, workload simulator.Config) {
	example := "BATCH"
	if r.Demo {
		example = workload.BatchID(0)
	}
	path := url + "/v1/analytics/performance/batches/" + example + "/diagnostics"
	lines := []string{
		"",
		"Headway is running.",
		"",
		"  API       " + url,
		"  NATS      " + natsURL + "   publish to headway.events.<namespace>.<batch>.<kind>",
		"  events    kept in " + kept,
		"  views     " + views,
		"  access    no credentials configured: loopback only, any bearer or none,",
		"            namespace from X-Namespace or ?namespace= (default \"default\")",
		"",
		"  snapshot  curl " + path,
		"  stream    curl -N " + path + "/stream",
		"  batches   curl " + url + "/v1/batches",
		"",
		"  Ctrl-C ends it; run again, everything is still there.",
		"",
	}
	if r.Demo {
		lines = append(lines, "A demo workload is being sent, four times as fast as life, judged by thresholds of seconds:", "", demoExamples(workload))
	}
	_, _ = fmt.Fprintln(r.Stderr, strings.Join(lines, "\n"))
}

// Run is called by kong.
func (r *Run) Run(ctx context.Context) error { return r.Serve(ctx) }
