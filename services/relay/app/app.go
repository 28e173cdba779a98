// Package app puts the relay together as a program with flags.
package app

import (
	"context"
	"log/slog"

	"github.com/headwayhq/headway/services/internal/backend"
	"github.com/headwayhq/headway/services/internal/program"
	"github.com/headwayhq/headway/services/relay"
	"github.com/headwayhq/headway/services/relay/kuberay"
)

// Sources are the flags that name the clusters and other sources to relay from.
type Sources struct {
	relay.Flags
	Kube kuberay.Flags `embed:""`
}

// Options turns the flags into options. Its errors name the flag that is wrong.
func (s *Sources) Options(log *slog.Logger) (relay.Options, error) {
	o, err := s.Flags.Options()
	if err != nil {
		return o, err
	}
	kube, err := s.Kube.Source(log)
	if kube != nil {
		o.Sources = append(o.Sources, kube)
	}
	return o, err
}

// Flags are the flags of the relay program.
type Flags struct {
	program.Common
	NATSURL string            `name:"nats-url" help:"NATS server." default:"nats://127.0.0.1:4222" env:"HEADWAY_NATS_URL"`
	NATS    backend.NATSLogin `embed:""`
	Listen  string            `help:"Address of the event receiver, /livez, /readyz and /metrics." default:"127.0.0.1:0" env:"HEADWAY_LISTEN"`
	Sources
}

// New checks the flags and returns the program.
func New(f Flags, log *slog.Logger) (*program.Program, error) {
	o, err := f.Options(log)
	if err != nil {
		return nil, err
	}
	check := o // check everything that can be checked before connecting to NATS
	check.Publisher = relay.NewLog(nil)
	if _, err := relay.New(check); err != nil {
		return nil, err
	}
	servers := backend.Options{NATSURL: f.NATSURL, NATS: f.NATS, Name: "headway-relay", Logger: log}
	if err := servers.ValidateNATS(); err != nil {
		return nil, err
	}
	metrics := program.NewRegistry()
	return program.New(program.Options{
		Name: "relay", Listen: f.Listen, Logger: log, Metrics: metrics,
		Open: func(ctx context.Context, waiting *program.Waiting) (*program.Service, error) {
			servers.Waiting = waiting
			conn, err := backend.ConnectNATS(ctx, servers)
			if err != nil {
				return nil, err
			}
			o.Publisher, o.Proving.Health, o.Logger, o.Metrics = relay.NewLog(conn), relay.Feed{Conn: conn}, log, metrics
			r, err := relay.New(o)
			if err != nil {
				conn.Close()
				return nil, err
			}
			ready := func(context.Context) error { return r.Ready() }
			mux := program.Ops(metrics, ready)
			mux.Handle(relay.ReceiverPattern, r.Receiver())
			return &program.Service{Handler: mux, Ready: ready, Run: r.Run, Close: conn.Close}, nil
		},
	}), nil
}
