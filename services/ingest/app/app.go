// Package app is ingest as a program: its flags, and how it is put together.
package app

import (
	"context"
	"log/slog"

	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
	"github.com/headwayhq/headway/services/internal/program"
)

// Flags of the program.
type Flags struct {
	program.Common
	backend.Flags
	Policy string       `help:"File of thresholds (YAML or JSON)." type:"existingfile" env:"HEADWAY_POLICY"`
	Listen string       `help:"Address of /livez, /readyz and /metrics." default:"127.0.0.1:0" env:"HEADWAY_LISTEN"`
	Ingest ingest.Flags `embed:""`
}

// New checks the flags and returns the program.
func New(f Flags, log *slog.Logger) (*program.Program, error) {
	policies, err := policy.Load(f.Policy)
	if err != nil {
		return nil, err
	}
	o := f.Options("headway-ingest", log)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := f.Ingest.Validate(); err != nil {
		return nil, err
	}
	ingest.LimitMemory(int64(f.Ingest.Memory))
	metrics := program.NewRegistry()
	return program.New(program.Options{
		Name: "ingest", Listen: f.Listen, Logger: log, Metrics: metrics,
		Open: func(ctx context.Context, waiting *program.Waiting) (*program.Service, error) {
			o.Waiting = waiting
			b, err := backend.Connect(ctx, o)
			if err != nil {
				return nil, err
			}
			metrics.MustRegister(b.Storage())
			options := ingest.Options{
				Log: b.Log, Store: b.Store, Policies: policies, Member: backend.Member(), Logger: log, Metrics: metrics,
				Namespaces: f.Ingest.Namespaces, Memory: int64(f.Ingest.Memory),
			}
			options.Rows = func(generation string) ingest.Rows { return b.Rows(generation) }
			f.Ingest.Ages(&options)
			s := ingest.New(options)
			return &program.Service{Ready: func(context.Context) error { return s.Ready() }, Run: s.Run, Close: b.Close}, nil
		},
	}), nil
}
