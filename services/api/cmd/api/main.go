// Command api runs Headway's api service against NATS and Redis.
package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/runtime"
	"github.com/headwayhq/headway/services/api"
	"github.com/headwayhq/headway/services/internal/backend"
)

type flags struct {
	backend.Flags
	LogLevel string `help:"debug, info, warn or error." default:"info" env:"HEADWAY_LOG_LEVEL"`
	Policy   string `help:"File of thresholds (YAML or JSON)." type:"existingfile" env:"HEADWAY_POLICY"`
	Listen   string `help:"Address of the API." default:"127.0.0.1:8080" env:"HEADWAY_LISTEN"`

	api.Limits

	AllowUnauthenticated bool `help:"Listen beyond loopback although anybody may then read every namespace." env:"HEADWAY_ALLOW_UNAUTHENTICATED"`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Name("api"), kong.Description("Serves diagnostics over HTTP and server-sent events. Run any number."), kong.Configuration(backend.YAML, "/etc/headway/headway.yaml"))
	ctx, stop := runtime.Signals()
	err := run(ctx, f)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags) error {
	log := runtime.Logger(os.Stderr, f.LogLevel)
	policies, err := runtime.LoadPolicies(f.Policy)
	if err != nil {
		return err
	}
	if err := backend.LoopbackOnly(f.Listen, f.AllowUnauthenticated); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", f.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer ln.Close()
	b, err := backend.Connect(ctx, f.Options("headway-api", log))
	if err != nil {
		return err
	}
	defer b.Close()
	s := api.New(api.Options{
		Log: b.Log, Store: b.Store, Policies: policies, Partition: b.Log.Partition, Identity: b.Identity, Limits: f.Limits, Logger: log,
	})
	log.Info("serving", "address", ln.Addr().String())
	return s.Run(ctx, ln)
}
