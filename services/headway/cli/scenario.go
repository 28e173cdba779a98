package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/simulator"
	"github.com/headwayhq/headway/services/headway/bundle"
	"github.com/headwayhq/headway/services/headway/demo"
)

// play sends the events of a bundle.
func (d *Demo) play(ctx context.Context, to *shared, r *client.Reader) error {
	archive, err := os.ReadFile(d.Scenario)
	if err != nil {
		return ExitError{Code: exitUsage, Err: fmt.Errorf("--scenario: %w", err)}
	}
	s, err := bundle.Read(archive)
	if err != nil {
		return ExitError{Code: exitUsage, Err: fmt.Errorf("--scenario: %s: %w", d.Scenario, err)}
	}
	switch _, err := r.Diagnostics(ctx, s.Batch); {
	case err == nil:
		return ExitError{Code: exitNo, Err: fmt.Errorf("--scenario: the batch %s is there already, and would be mixed with what is played: play it to an empty Headway, or in another namespace with --namespaces", plain(s.Batch))}
	case !errors.Is(err, client.ErrNotFound):
		return d.refused(err)
	}
	events, left, err := s.At(time.Now(), cmp.Or(to.Namespace, "default"))
	if err != nil {
		return ExitError{Code: exitUsage, Err: fmt.Errorf("--scenario: %s: %w", d.Scenario, err)}
	}
	over, err := d.client(postWithin)
	if err != nil {
		return err
	}
	sent, err := demo.Run(ctx, demo.Options{HTTP: over, URL: d.URL, Token: d.in.credential.token, Config: simulator.Config{Start: time.Now()}, Events: events})
	w := writer{os.Stderr}
	w.linef("%d events of the batch %s are stored, %d weren't sent (of Headway's detector, or not events).", sent, plain(s.Batch), left)
	for _, why := range s.Cut {
		w.linef("Events are missing: %s", plain(why))
	}
	if !s.Messages {
		w.linef("The texts of producers were left out (headway bundle --with-messages keeps them), so a cause that is known by its words may be another here.")
	}
	w.linef("headway explain %s%s says what Headway makes of them.", quoted(s.Batch), to.flags())
	return d.refused(err)
}
