package e2e

import (
	"time"

	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/simulator"
)

type batchRef struct{ namespace, batch string }

type work struct {
	batches  []batchRef
	messages []*nats.Msg
}

// workload makes at least n dirty events, over before they are sent: what is late or reordered is so by
// the order of sending, and nothing is true in the future.
func workload(seed uint64, n int) work {
	c := simulator.Config{
		Seed: seed, Namespaces: []string{"alpha", "beta", "gamma"}, Speed: 6, Spacing: 500 * time.Millisecond,
		Step: 500 * time.Millisecond, Docs: 5000, Batches: max(9, n/120), Dirty: simulator.RealisticDirt(),
	}
	events := simulator.Events(c)
	c.Start = time.Now().Add(-events[len(events)-1].At)
	events = simulator.Events(c)
	var w work
	seen := map[batchRef]bool{}
	for _, e := range events[:min(n, len(events))] {
		b := batchRef{e.Namespace, e.Batch}
		if !seen[b] {
			seen[b] = true
			w.batches = append(w.batches, b)
		}
		w.messages = append(w.messages, &nats.Msg{Subject: e.Subject, Data: e.Data})
	}
	return w
}
