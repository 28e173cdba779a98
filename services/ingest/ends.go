package ingest

import (
	"strings"
	"sync"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// ends knows the finished batches of one partition that have a view in Redis, and from when on it is held. Like the cache, it is dropped with its
// partition (rule 2).
type ends struct {
	mu  sync.Mutex
	at  map[string]time.Time // by "<namespace>.<batch>"
	not map[string]struct{}  // batches that a commit found active while older rows are still being read; nil afterwards
}

func newEnds() *ends { return &ends{at: map[string]time.Time{}, not: map[string]struct{}{}} }

// endOf is when a batch ended: what its producers say, else its last activity; zero while it is active.
func endOf(r *diagnostics.Row) time.Time {
	switch {
	case !diagnostics.Over(r.Status):
		return time.Time{}
	case r.CompletedAt != nil:
		return *r.CompletedAt
	case r.LastActivityAt != nil:
		return *r.LastActivityAt
	}
	return r.AsOf
}

// heldFrom is the moment from which on the view of a finished batch is held in Redis for its time: its end, but not before the row was
// made. Producers' clocks may be wrong by years, and a batch that ended long ago may be reported only now.
func heldFrom(r *diagnostics.Row) time.Time {
	end := endOf(r)
	if end.IsZero() || end.After(r.AsOf) {
		return end
	}
	return r.AsOf
}

// enter notes what the newest row of a batch says.
func (x *ends) enter(name string, end time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !end.IsZero() {
		x.at[name] = end
		return
	}
	delete(x.at, name)
	if x.not != nil {
		x.not[name] = struct{}{}
	}
}

// enterOld notes what a row says that may have been written before the claim, unless a newer one was entered.
func (x *ends) enterOld(name string, end time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, active := x.not[name]; active || end.IsZero() || !x.at[name].IsZero() {
		return
	}
	x.at[strings.Clone(name)] = end
}

// whole notes that the rows from before the claim have been entered.
func (x *ends) whole() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.not = nil
}

// of is from when on the view of a finished batch is held; zero if it is active or that isn't known.
func (x *ends) of(name string) time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.at[name]
}

func (x *ends) forget(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.at, name)
}

// those returns at most limit batches for which keep returns true.
func (x *ends) those(limit int, keep func(namespace, name string, end time.Time) bool) (out []viewstore.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for name, end := range x.at {
		namespace, batch, _ := strings.Cut(name, ".")
		if !keep(namespace, name, end) {
			continue
		}
		if out = append(out, viewstore.Key{Namespace: namespace, Batch: batch}); len(out) == limit {
			break
		}
	}
	return out
}
