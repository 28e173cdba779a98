package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/simulator"
	"github.com/headwayhq/headway/services/headway/demo"
)

// Demo is headway demo.
type Demo struct {
	target
	Speed      float64  `help:"Speed-up over real time." default:"4"`
	Batches    int      `help:"How many batches." default:"18"`
	Seed       uint64   `help:"Seed of the workload; equal seeds send equal workloads." default:"1"`
	Namespaces []string `help:"Namespaces to spread the batches over." default:"default"`
	Prefix     string   `help:"Prefix of the batch ids." default:"demo"`
	Dirty      bool     `help:"Duplicate, reorder, delay and corrupt events, as a real transport does."`
	Scenario   string   `help:"Archive of headway bundle with a batch, whose events are sent instead, all at once, as if it had been made now." placeholder:"FILE"`
}

// AfterApply is called by kong.
func (d *Demo) AfterApply(k *kong.Context) error {
	namespace := ""
	err := d.choose(k, "namespaces", &namespace)
	if namespace != "" {
		d.Namespaces = []string{namespace}
	}
	return err
}

// Validate is called by kong.
func (d *Demo) Validate() error {
	switch {
	case d.Speed <= 0:
		return errors.New("--speed: must be more than 0")
	case d.Batches < 1:
		return errors.New("--batches: must be at least 1")
	}
	return nil
}

// Run sends the workload.
func (d *Demo) Run(ctx context.Context) error {
	c := simulator.Config{
		Seed: d.Seed, Batches: d.Batches, Speed: d.Speed, Namespaces: d.Namespaces, Prefix: d.Prefix, Start: time.Now(),
	}
	if d.Dirty {
		c.Dirty = simulator.RealisticDirt()
	}
	refused := 0
	over, err := d.client(postWithin)
	if err != nil {
		return err
	}
	// The demo itself tries for ever, because a server may restart. One that isn't there at the beginning is a mistake.
	first := &shared{target: d.target}
	if len(d.Namespaces) > 0 {
		first.Namespace = d.Namespaces[0]
	}
	r, err := first.reader(nil)
	if err != nil {
		return err
	}
	if _, err := r.Me(ctx); err != nil {
		return d.refused(err)
	}
	if d.Scenario != "" {
		return d.play(ctx, first, r)
	}
	sent, err := demo.Run(ctx, demo.Options{HTTP: over, URL: d.URL, Token: d.in.credential.token, Config: c, Refused: func(simulator.Event, string) { refused++ }})
	fmt.Fprintf(os.Stderr, "%d events stored, %d poison events refused\n", sent, refused)
	return d.refused(err)
}
