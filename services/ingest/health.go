package ingest

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/pkg/viewstore"
)

// health is what this process knows of its own work. Heartbeats update it, and it is evaluated when it is asked for, so
// that a hanging heartbeat can't leave an outdated positive answer.
type health struct {
	fresh time.Duration
	began time.Time

	mu       sync.Mutex
	log      error // of the last attempt to reach the event log
	store    error // of the last attempt to reach the view store
	unfit    error // why Redis can't keep views
	logTime  time.Time
	askedAt  time.Time // when the log's server reported logTime
	known    bool      // whether the partitions of this process are known
	share    []int
	working  map[int]*atomic.Pointer[state]
	standing []*viewstore.Fence // all fences, as last read
	rebuild  *viewstore.Rebuild // progress of all partitions, as last measured
}

func newHealth(fresh time.Duration) *health { return &health{fresh: fresh, began: time.Now()} }

// tried records the result of asking a server; what is one of the fields log and store.
func (h *health) tried(what *error, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*what = err
}

// trouble records why Redis can't keep views, and reports whether that has changed.
func (h *health) trouble(err error) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	changed = (err == nil) != (h.unfit == nil)
	h.unfit = err
	return changed
}

// at records the time of the log's server, to which watermarks refer.
func (h *health) at(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logTime, h.askedAt = now, time.Now()
}

func (h *health) states(working map[int]*atomic.Pointer[state]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.working = working
}

// saw records all fences, and which partitions belong to this process.
func (h *health) saw(records []viewstore.Record, mine []bool, working map[int]*atomic.Pointer[state]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known, h.share, h.working = true, h.share[:0], working
	h.standing = make([]*viewstore.Fence, len(records))
	for p, r := range records {
		h.standing[p] = r.Fence
		if mine[p] {
			h.share = append(h.share, p)
		}
	}
}

// reset forgets what an epoch knew.
func (h *health) reset(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known, h.share, h.working, h.standing, h.rebuild = false, nil, nil, nil, nil
	if h.log == nil && h.store == nil {
		h.log = err
	}
}

// now is the estimated time of the log's server. The caller holds the lock.
func (h *health) now() time.Time {
	if h.askedAt.IsZero() {
		return time.Now()
	}
	return h.logTime.Add(time.Since(h.askedAt))
}

// ready is nil while this process does its share: each of its partitions is complete and its watermark fresh. A process
// without a share is on standby, and is ready while every partition is complete and fresh, whoever owns it.
func (h *health) ready() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unfit != nil {
		return fmt.Errorf("ingest: %w", h.unfit)
	}
	if !h.known || h.askedAt.IsZero() {
		return h.because("not caught up with the event log yet")
	}
	if h.log != nil || h.store != nil {
		return h.because("the last try to reach its servers failed") // watermarks would show it much later
	}
	if len(h.share) == 0 {
		for p, f := range h.standing {
			if f == nil || f.LeaseUntil == 0 || !f.Complete || h.stale(time.Unix(0, f.Watermark)) {
				return h.because(fmt.Sprintf("stands by, and partition %d has no owner that is caught up", p))
			}
		}
		return nil
	}
	for _, p := range h.share {
		if h.working[p] == nil {
			return h.because(fmt.Sprintf("partition %d isn't owned yet", p))
		}
		switch s := h.working[p].Load(); {
		case !s.complete:
			return h.because(fmt.Sprintf("partition %d isn't folded up to the event log's end", p), s.failure)
		case h.stale(s.watermark):
			return h.because(fmt.Sprintf("partition %d has been folded up to %s only", p, s.watermark.UTC().Format(time.RFC3339)), s.failure)
		}
	}
	return nil
}

func (h *health) stale(watermark time.Time) bool { return h.now().Sub(watermark) > h.fresh }

// because returns an error that says what is wrong, with the errors that may be the cause.
func (h *health) because(what string, more ...error) error {
	if h.rebuild != nil && !h.rebuild.Done() {
		what = fmt.Sprintf("rebuilding views: %s; %s", h.rebuild, what)
	}
	return fmt.Errorf("ingest: %w", errors.Join(append([]error{errors.New(what), h.log, h.store}, more...)...))
}

// measured records how far the views are folded from the log.
func (h *health) measured(r viewstore.Rebuild) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rebuild = &r
}

// age is the age of the oldest watermark of the owned partitions, in seconds.
func (h *health) age() float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known && len(h.share) == 0 {
		return 0 // on standby
	}
	if !h.known || len(h.working) < len(h.share) {
		return time.Since(h.began).Seconds()
	}
	age := 0.0
	for _, s := range h.working {
		age = math.Max(age, h.now().Sub(s.Load().watermark).Seconds())
	}
	return age
}
