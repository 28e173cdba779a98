package app

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/simulator"
	"github.com/headwayhq/headway/services/headway/demo"
)

// demoConfig is the configuration of the demo. The batch ids contain the minute of the start, so that a second run
// adds its own batches.
func demoConfig(now time.Time) simulator.Config {
	return simulator.Config{
		Seed: rand.Uint64(), Batches: 18, Start: now, Speed: 4, Spacing: 8 * time.Second,
		Prefix: "demo-" + now.Format("1504"),
		Scenarios: []simulator.Scenario{
			simulator.NodeNeverComes, simulator.Healthy, simulator.Stuck, simulator.Retry, simulator.SlowStart,
			simulator.PartialFailures, simulator.OutOfMemory, simulator.JobsOnly, simulator.Healthy,
		},
	}
}

// demoExamples names the batches that demonstrate particular diagnoses.
func demoExamples(c simulator.Config) string {
	var b strings.Builder
	for _, line := range []struct {
		scenario simulator.Scenario
		text     string
	}{
		{simulator.NodeNeverComes, "stuck within a minute: no node type offers what its job needs"},
		{simulator.Stuck, "stuck later: alive, but no progress"},
		{simulator.Healthy, "runs and completes"},
		{simulator.OutOfMemory, "fails: out of memory"},
	} {
		for i, s := range c.Scenarios {
			if s == line.scenario {
				fmt.Fprintf(&b, "  %-24s  %s\n", c.BatchID(i), line.text)
				break
			}
		}
	}
	return b.String()
}

// demoTimeout bounds one request of the demo.
const demoTimeout = 15 * time.Second

func runDemo(ctx context.Context, o demo.Options, out io.Writer) error {
	sent, err := demo.Run(ctx, o)
	if err != nil {
		return err
	}
	if ctx.Err() == nil {
		_, _ = fmt.Fprintf(out, "The demo workload has ended after %d events. Headway keeps running.\n", sent)
	}
	return nil
}
