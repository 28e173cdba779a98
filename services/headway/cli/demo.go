package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/headwayhq/headway/pkg/simulator"
	"github.com/headwayhq/headway/services/headway/demo"
)

// Demo is headway demo.
type Demo struct {
	URL string `help:"Address of the API." default:"http://127.0.0.1:8080" env:"HEADWAY_URL"`
	credential
	Speed      float64  `help:"Speed-up over real time." default:"4"`
	Batches    int      `help:"How many batches." default:"18"`
	Seed       uint64   `help:"Seed of the workload; equal seeds send equal workloads." default:"1"`
	Namespaces []string `help:"Namespaces to spread the batches over." default:"default"`
	Prefix     string   `help:"Prefix of the batch ids." default:"demo"`
	Dirty      bool     `help:"Duplicate, reorder, delay and corrupt events, as a real transport does."`
}

// Run sends the workload.
func (d *Demo) Run(ctx context.Context) error {
	token, err := d.token()
	if err != nil {
		return err
	}
	c := simulator.Config{
		Seed: d.Seed, Batches: d.Batches, Speed: d.Speed, Namespaces: d.Namespaces, Prefix: d.Prefix, Start: time.Now(),
	}
	if d.Dirty {
		c.Dirty = simulator.RealisticDirt()
	}
	refused := 0
	sent, err := demo.Run(ctx, demo.Options{URL: d.URL, Token: token, Config: c, Refused: func(simulator.Event, string) { refused++ }})
	fmt.Fprintf(os.Stderr, "%d events stored, %d poison events refused\n", sent, refused)
	return err
}
