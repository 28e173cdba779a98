// Command ingest runs Headway's ingest service against NATS and Redis.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/runtime"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
)

type flags struct {
	backend.Flags
	LogLevel string `help:"debug, info, warn or error." default:"info" env:"HEADWAY_LOG_LEVEL"`
	Policy   string `help:"File of thresholds (YAML or JSON)." type:"existingfile" env:"HEADWAY_POLICY"`
	Listen   string `help:"Address of /livez, /readyz and /metrics." default:"127.0.0.1:0" env:"HEADWAY_LISTEN"`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Name("ingest"), kong.Description("Folds the event log into views. Run any number."), kong.Configuration(backend.YAML, "/etc/headway/headway.yaml"))
	ctx, stop := runtime.Signals()
	err := run(ctx, f)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags) error {
	log := runtime.Logger(os.Stderr, f.LogLevel)
	policies, err := runtime.LoadPolicies(f.Policy)
	if err != nil {
		return err
	}
	b, err := backend.Connect(ctx, f.Options("headway-ingest", log))
	if err != nil {
		return err
	}
	defer b.Close()
	registry := prometheus.NewRegistry()
	s := ingest.New(ingest.Options{
		Log: b.Log, Store: b.Store, Policies: policies, Member: backend.Member(), Logger: log, Metrics: registry,
	})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return backend.ServeOps(ctx, f.Listen, registry, s.Ready, log) })
	g.Go(func() error { return s.Run(ctx) })
	return g.Wait()
}
