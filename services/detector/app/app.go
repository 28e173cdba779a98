// Package app is the detector as a program: its flags, and how it is put together.
package app

import (
	"context"
	"log/slog"

	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/services/detector"
	"github.com/headwayhq/headway/services/internal/backend"
	"github.com/headwayhq/headway/services/internal/program"
)

// Flags of the program.
type Flags struct {
	program.Common
	backend.Flags
	Policy string `help:"File of thresholds (YAML or JSON)." type:"existingfile" env:"HEADWAY_POLICY"`
	APIURL string `name:"api-url" help:"URL of the API as readers of announcements reach it, for the links in them (default: a path alone)." placeholder:"URL" env:"HEADWAY_API_URL"`
	Listen string `help:"Address of /livez, /readyz and /metrics." default:"127.0.0.1:0" env:"HEADWAY_LISTEN"`
}

// New checks the flags and returns the program.
func New(f Flags, log *slog.Logger) (*program.Program, error) {
	policies, err := policy.Load(f.Policy)
	if err != nil {
		return nil, err
	}
	base, err := detector.ParseAPIURL(f.APIURL)
	if err != nil {
		return nil, err
	}
	o := f.Options("headway-detector", log)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	metrics := program.NewRegistry()
	return program.New(program.Options{
		Name: "detector", Listen: f.Listen, Logger: log, Metrics: metrics,
		Open: func(ctx context.Context, waiting *program.Waiting) (*program.Service, error) {
			o.Waiting = waiting
			b, err := backend.Connect(ctx, o)
			if err != nil {
				return nil, err
			}
			d := detector.New(detector.Options{Log: b.Log, Store: detector.OnStore(b.Store), Policies: policies, BaseURL: base, Logger: log, Metrics: metrics})
			return &program.Service{Ready: func(context.Context) error { return d.Ready() }, Run: d.Run, Close: b.Close}, nil
		},
	}), nil
}
