package api

import "sync"

// gate counts what is in progress, in total and for each key.
type gate struct {
	total int64 // that may be in progress; 0: any number

	mu  sync.Mutex
	n   int
	per map[string]int
}

func newGate(total int) *gate { return &gate{total: int64(total), per: map[string]int{}} }

// enter counts one more for a key, if it has fewer than most, where 0 is any number. full says that it is the total which is reached.
func (g *gate) enter(key string, most int64) (entered, full bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if most > 0 && int64(g.per[key]) >= most {
		return false, false
	}
	if g.total > 0 && int64(g.n) >= g.total {
		return false, true
	}
	g.n++
	g.per[key]++
	return true, false
}

func (g *gate) leave(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.per[key]--; g.per[key] == 0 {
		delete(g.per, key)
	}
}

func (g *gate) len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// of is how many a key has.
func (g *gate) of(key string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.per[key]
}

// fullest is how much of its limit the key has used up that has used most of it.
func (g *gate) fullest(most func(key string) int64) (greatest float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, n := range g.per {
		if limit := most(key); limit > 0 {
			greatest = max(greatest, float64(n)/float64(limit))
		}
	}
	return greatest
}
