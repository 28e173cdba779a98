package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/simulator"
	"github.com/headwayhq/headway/services/internal/logging"
	"github.com/headwayhq/headway/services/internal/printable"
)

// Run is the command headway run: a Headway, its messages to the user, and the demo.
type Run struct {
	Config   kong.ConfigFlag `help:"Configuration file (YAML) with flags by name." env:"HEADWAY_CONFIG"`
	LogLevel string          `help:"debug, info, warn or error." default:"warn" env:"HEADWAY_LOG_LEVEL"`
	Flags

	Stdout io.Writer `kong:"-"`
	Stderr io.Writer `kong:"-"`
}

// Run is called by kong. It runs until ctx ends.
func (r *Run) Run(ctx context.Context) (err error) {
	log := logging.New(r.Stderr, r.LogLevel)
	logging.Adopt(log)
	h, err := New(r.Flags, log)
	if err != nil {
		return err
	}
	if err := h.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Stop()) }()
	if !h.awaitReady() {
		return nil // it was stopped meanwhile, or Stop returns why it ended
	}
	workload := demoConfig(time.Now())
	r.banner(h, workload)
	fmt.Fprintf(r.Stdout, "ready api=%s nats=%s\n", h.URL(), printable.Address(h.servers.natsURL))
	if r.Demo {
		if err := runDemo(ctx, h.URL(), workload, r.Stderr); err != nil {
			return err
		}
	}
	<-h.Done()
	return nil
}

// awaitReady waits until everything is ready. It returns false if the program ended first.
func (h *Headway) awaitReady() bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for h.Ready(context.Background()) != nil {
		select {
		case <-h.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

func (r *Run) banner(h *Headway, workload simulator.Config) {
	example := "BATCH"
	if r.Demo {
		example = workload.BatchID(0)
	}
	url := h.URL()
	path := url + "/v1/analytics/performance/batches/" + example + "/diagnostics"
	lines := []string{
		"",
		"Headway is running.",
		"",
		"  API       " + url,
		"  NATS      " + printable.Address(h.servers.natsURL) + "   publish to headway.events.<namespace>.<batch>.<kind>",
		"  events    kept in " + h.servers.events,
		"  views     " + h.servers.views,
		"  access    no credentials configured: loopback only, any bearer token or none,",
		"            namespace from X-Namespace or ?namespace= (default \"default\")",
		"",
		"  snapshot  curl " + path,
		"  stream    curl -N " + path + "/stream",
		"  batches   curl " + url + "/v1/batches",
		"",
		"  Press Ctrl-C to end it. All data is still there when you run it again.",
		"",
	}
	if r.Demo {
		lines = append(lines, "A demo workload is being sent at four times real speed, with thresholds of seconds:", "", demoExamples(workload))
	}
	_, _ = fmt.Fprintln(r.Stderr, strings.Join(lines, "\n"))
}
