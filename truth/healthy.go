package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/simulator"
)

// healthyBatches is how many healthy batches are looked at for a word that isn't true.
const healthyBatches = 2000

// falseStuck plays healthy batches of uneven shape and looks at each of them every minute of its life: none of them may
// ever be called stuck. It returns how many were, and the first of them in words.
func falseStuck(seed uint64, batches int) (wrong int, first string, err error) {
	shapes := []simulator.Scenario{simulator.Healthy, simulator.SlowStart, simulator.Uneven}
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range batches {
		c := simulator.Config{
			Seed: rng.Uint64(), Batches: 1, Start: origin, Namespaces: []string{"team"}, Scenarios: shapes[i%len(shapes) : i%len(shapes)+1],
			Docs: 200 + rng.IntN(4000), Step: time.Duration(1+rng.IntN(60)) * time.Second, Dirty: simulator.Dirty{Duplicates: 0.1, Reordered: 0.1},
		}
		said, err := firstStuck(c)
		if err != nil {
			return 0, "", err
		}
		if said != "" {
			if wrong++; first == "" {
				first = fmt.Sprintf("seed %d, %s: %s", c.Seed, c.Scenarios[0], said)
			}
		}
	}
	return wrong, first, nil
}

// firstStuck is the first blocked reason with which a batch is called stuck, "" if it never is.
func firstStuck(c simulator.Config) (string, error) {
	events := simulator.Events(c)
	var d diagnostics.Decoder
	v := diagnostics.NewView("team", c.BatchID(0))
	look := time.Duration(0)
	policy := diagnostics.DefaultPolicy()
	for _, e := range events {
		for ; look < e.At; look += time.Minute {
			if verdict := diagnostics.Assess(v, c.Start.Add(look), policy); verdict.Health == diagnostics.HealthStuck {
				return fmt.Sprintf("%v: %s", look, verdict.BlockedReason), nil
			}
		}
		fact, no := d.Decode(diagnostics.Message{
			Subject: "headway.log.0." + strings.TrimPrefix(e.Subject, "headway.events."), Data: e.Data, Stored: c.Start.Add(e.At),
		})
		if no != nil {
			return "", fmt.Errorf("seed %d: %w", c.Seed, no)
		}
		diagnostics.Fold(v, fact)
	}
	return "", nil
}
