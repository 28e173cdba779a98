package detector

import (
	"sync"
	"time"

	"github.com/headwayhq/headway/pkg/viewstore"
)

const (
	firstDelay = 2 * time.Second
	maxDelay   = 5 * time.Minute
	// maxRemembered limits the number of remembered entries. A forgotten entry starts again with the first delay.
	maxRemembered = 4096
)

// delayAfter is how long an entry waits after this many failures in a row.
func delayAfter(failures int) time.Duration {
	if failures < 1 {
		return 0
	}
	return min(firstDelay<<min(failures-1, 16), maxDelay)
}

// memory is what a detector remembers of entries that failed. It is a cache: losing an entry of it costs one attempt.
type memory struct {
	mu      sync.Mutex
	entries map[viewstore.Key]remembered
}

type remembered struct {
	failures int    // in a row
	last     uint64 // last sequence on the batch's health subject, according to a refusal; 0 if there was none
}

func newMemory() *memory { return &memory{entries: map[viewstore.Key]remembered{}} }

// change changes what is remembered of an entry, and removes it if the result is zero.
func (m *memory) change(k viewstore.Key, do func(*remembered)) remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, known := m.entries[k]
	do(&e)
	switch {
	case e == remembered{}:
		delete(m.entries, k)
		return e
	case !known && len(m.entries) >= maxRemembered:
		for other := range m.entries { // any: the order of a map is random
			delete(m.entries, other)
			break
		}
	}
	m.entries[k] = e
	return e
}

// fail counts a failure and returns how many there were in a row.
func (m *memory) fail(k viewstore.Key) int {
	return m.change(k, func(e *remembered) { e.failures++ }).failures
}

// delay is how long an entry has to wait because it failed before; 0 if it hasn't failed.
func (m *memory) delay(k viewstore.Key) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return delayAfter(m.entries[k].failures)
}

func (m *memory) forget(k viewstore.Key) { m.change(k, func(e *remembered) { *e = remembered{} }) }

// folded forgets an entry if its view shows that everything up to the last refusal is folded.
func (m *memory) folded(k viewstore.Key, healthSeq uint64) {
	m.change(k, func(e *remembered) {
		if e.last != 0 && healthSeq >= e.last {
			*e = remembered{}
		}
	})
}

// published resets the failures, unless the fold refused the previous announcement: then only a fold resets them.
func (m *memory) published(k viewstore.Key) {
	m.change(k, func(e *remembered) {
		if e.last == 0 {
			*e = remembered{}
		}
	})
}

// refused remembers the last sequence on a batch's health subject.
func (m *memory) refused(k viewstore.Key, last uint64) {
	m.change(k, func(e *remembered) { e.last = last })
}

// last is the last sequence on a batch's health subject, if the cursor covers it; else 0.
func (m *memory) last(k viewstore.Key, cursor uint64) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entries[k]; e.last <= cursor {
		return e.last
	}
	return 0
}
