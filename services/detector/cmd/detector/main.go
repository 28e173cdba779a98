// Command detector runs Headway's detector service against NATS and Redis.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/runtime"
	"github.com/headwayhq/headway/services/detector"
	"github.com/headwayhq/headway/services/internal/backend"
)

type flags struct {
	backend.Flags
	LogLevel string `help:"debug, info, warn or error." default:"info" env:"HEADWAY_LOG_LEVEL"`
	Policy   string `help:"File of thresholds (YAML or JSON)." type:"existingfile" env:"HEADWAY_POLICY"`
	APIURL   string `name:"api-url" help:"URL of the API as readers of announcements reach it, for the links in them (default: a path alone)." placeholder:"URL" env:"HEADWAY_API_URL"`
	Listen   string `help:"Address of /livez, /readyz and /metrics." default:"127.0.0.1:0" env:"HEADWAY_LISTEN"`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Name("detector"), kong.Description("Watches the clock and announces changes of health. Run any number."), kong.Configuration(backend.YAML, "/etc/headway/headway.yaml"))
	ctx, stop := runtime.Signals()
	err := run(ctx, f)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "detector:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags) error {
	log := runtime.Logger(os.Stderr, f.LogLevel)
	policies, err := runtime.LoadPolicies(f.Policy)
	if err != nil {
		return err
	}
	base, err := detector.ParseAPIURL(f.APIURL)
	if err != nil {
		return err
	}
	b, err := backend.Connect(ctx, f.Options("headway-detector", log))
	if err != nil {
		return err
	}
	defer b.Close()
	registry := prometheus.NewRegistry()
	d := detector.New(detector.Options{Log: b.Log, Store: detector.OnStore(b.Store), Policies: policies, BaseURL: base, Logger: log, Metrics: registry})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return backend.ServeOps(ctx, f.Listen, registry, d.Ready, log) })
	g.Go(func() error { return d.Run(ctx) })
	return g.Wait()
}
