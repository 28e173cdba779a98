package api

import "sync"

// gate counts what is in progress, in total and per namespace.
type gate struct {
	total, each int

	mu  sync.Mutex
	n   int
	per map[string]int
}

func newGate(total, each int) *gate { return &gate{total: total, each: each, per: map[string]int{}} }

func (g *gate) enter(ns string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n >= g.total || g.per[ns] >= g.each {
		return false
	}
	g.n++
	g.per[ns]++
	return true
}

func (g *gate) leave(ns string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.per[ns]--; g.per[ns] == 0 {
		delete(g.per, ns)
	}
}

func (g *gate) len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}
