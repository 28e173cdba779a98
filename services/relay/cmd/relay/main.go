// Command relay turns what Ray clusters say into Headway's events.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/runtime"
	"github.com/headwayhq/headway/services/internal/backend"
	"github.com/headwayhq/headway/services/relay"
	"github.com/headwayhq/headway/services/relay/kuberay"
)

type flags struct {
	Config   kong.ConfigFlag `help:"Configuration file (YAML): flags by their names." env:"HEADWAY_CONFIG"`
	NATSURL  string          `name:"nats-url" help:"NATS server." default:"nats://127.0.0.1:4222" env:"HEADWAY_NATS_URL"`
	LogLevel string          `help:"debug, info, warn or error." default:"info" env:"HEADWAY_LOG_LEVEL"`
	Listen   string          `help:"Address of the event receiver, /livez, /readyz and /metrics." default:"127.0.0.1:0" env:"HEADWAY_LISTEN"`
	relay.Flags
	Kube kuberay.Flags `embed:""`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Name("relay"), kong.Description("Relays what Ray clusters say. Run any number, also of the same clusters."), kong.Configuration(backend.YAML, "/etc/headway/headway.yaml"))
	ctx, stop := runtime.Signals()
	err := run(ctx, f)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags) error {
	log := runtime.Logger(os.Stderr, f.LogLevel)
	o, err := f.Options()
	if err != nil {
		return err
	}
	source, err := f.Kube.Source(log)
	if err != nil {
		return err
	}
	if source != nil {
		o.Sources = append(o.Sources, source)
	}
	nc, err := backend.ConnectNATS(ctx, f.NATSURL, "headway-relay", log)
	if err != nil {
		return err
	}
	defer nc.Close()
	registry := prometheus.NewRegistry()
	o.Publisher, o.Logger, o.Metrics = relay.NewLog(nc), log, registry
	r, err := relay.New(o)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return backend.ServeOps(ctx, f.Listen, registry, r.Ready, log, func(mux *http.ServeMux) { mux.Handle(relay.ReceiverPattern, r.Receiver()) })
	})
	g.Go(func() error { return r.Run(ctx) })
	return g.Wait()
}
