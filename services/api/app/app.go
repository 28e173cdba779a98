// Package app is the api as a program: its flags, and how it is put together.
package app

import (
	"context"
	"log/slog"

	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/services/api"
	"github.com/headwayhq/headway/services/api/access"
	"github.com/headwayhq/headway/services/internal/backend"
	"github.com/headwayhq/headway/services/internal/program"
)

// Flags of the program.
type Flags struct {
	program.Common
	backend.Flags
	Policy string `help:"File of thresholds (YAML or JSON)." type:"existingfile" env:"HEADWAY_POLICY"`
	Listen string `help:"Address of the API." default:"127.0.0.1:8080" env:"HEADWAY_LISTEN"`

	api.Limits
	Ops    program.OpsFlags `embed:""`
	Access access.Flags     `embed:""`
	TLS    program.TLS      `embed:""`
}

// New checks the flags and returns the program.
func New(f Flags, log *slog.Logger) (*program.Program, error) {
	policies, err := policy.Load(f.Policy)
	if err != nil {
		return nil, err
	}
	if err := f.Access.Check(f.Listen); err != nil {
		return nil, err
	}
	if err := f.TLS.Check(); err != nil {
		return nil, err
	}
	f.Access.Warn(f.Listen, f.TLS.On(), log)
	if err := f.Check(); err != nil {
		return nil, err
	}
	o := f.Options("headway-api", log)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	metrics := program.NewRegistry()
	return program.New(program.Options{
		Name: "api", Listen: f.Listen, TLS: f.TLS, Logger: log, Metrics: metrics, Guard: f.Access.Guard(f.Listen, nil), Ops: f.Ops, OpsGuard: f.Access.Guard(f.Ops.OpsListen, nil), Discreet: f.Access.Keyed(),
		Open: func(ctx context.Context, waiting *program.Waiting) (*program.Service, error) {
			o.Waiting = waiting
			b, err := backend.Connect(ctx, o)
			if err != nil {
				return nil, err
			}
			ao := api.Options{
				Log: b.Log, Store: b.Store, Policies: policies, Partition: b.Log.Partition, Identity: b.Identity, Limits: f.Limits, Finished: b.PresentRows, Metrics: metrics, Logger: log, NATS: f.NATSURL,
			}
			if f.Access.Keyed() {
				if ao.Keys, err = access.Open(b.Conn, f.Replicas, log); err != nil {
					return nil, err
				}
				ao.Keys.Set(f.Access)
				ao.Provider = access.NewProvider(f.Access, log)
				ao.Tickets = access.NewTickets(b.Redis, ao.Keys)
			}
			s := api.New(ao)
			return &program.Service{Handler: s.Handler(), Ready: s.Ready, Run: s.Work, Close: b.Close}, nil
		},
	}), nil
}
