package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// namesFor is how long the known namespaces are relied on before the store is asked whether a new one was missed.
const namesFor = time.Second

// names are the namespaces that have rows; all others need neither channels nor reads. New ones are pushed. When a client asks for
// an unknown one, the number of namespaces in each partition shows whether a push was missed.
type names struct {
	rows     rows
	identity func() (string, int)

	asking *semaphore.Weighted // held while asking
	of     string              // the identity to which this belongs; guarded by asking
	counts []int64             // guarded by asking
	asked  time.Time           // guarded by asking

	mu    sync.Mutex
	known map[string]struct{}
}

func newNames(r rows, identity func() (string, int), partitions int) *names {
	return &names{rows: r, identity: identity, asking: semaphore.NewWeighted(1), counts: make([]int64, partitions), known: map[string]struct{}{}}
}

func (n *names) holds(ns string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, known := n.known[ns]
	return known
}

func (n *names) add(all ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, ns := range all {
		n.known[ns] = struct{}{}
	}
}

// all returns the known namespaces.
func (n *names) all(ctx context.Context) ([]string, error) {
	if _, err := n.has(ctx, ""); err != nil { // "" is never known, so the store is asked
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Keys(n.known)), nil
}

// has reports whether ns has rows. Any number of callers causes one request to the store per namesFor.
func (n *names) has(ctx context.Context, ns string) (bool, error) {
	if n.holds(ns) {
		return true, nil
	}
	if err := n.asking.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer n.asking.Release(1)
	id, _ := n.identity()
	if n.of != id { // the log was recreated
		n.of = id
		clear(n.counts)
		n.asked = time.Time{}
		n.mu.Lock()
		clear(n.known)
		n.mu.Unlock()
	}
	if now := time.Now(); now.Sub(n.asked) > namesFor {
		all, err := n.rows.namespaces(ctx, n.counts)
		if err != nil {
			return false, fmt.Errorf("api: namespaces: %w", err)
		}
		n.add(all...)
		n.asked = now
	}
	return n.holds(ns), nil
}
