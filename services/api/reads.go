package api

import (
	"context"
	"sync"
	"time"

	"github.com/headwayhq/headway/pkg/push"
)

const (
	// storeWithin limits each wait for Redis or the log.
	storeWithin = 5 * time.Second

	maxFlights  = 8
	flightGap   = time.Millisecond
	readsAtOnce = 1024
)

// bundle reads views for many callers in few round trips. The first read is sent at once. While others are in progress,
// the next one waits for a moment, which grows with their number, and includes all reads requested meanwhile. So a burst of
// streams costs a round trip or two, and a single read isn't delayed.
type bundle struct {
	load func(context.Context, []ask) []loaded

	mu      sync.Mutex
	waiting []*reading
	flights int
	armed   bool // the next group of reads is scheduled
}

// reading is what one caller waits for.
type reading struct {
	partition int
	key       push.Key
	done      chan struct{}

	fence *fence
	view  stored
	err   error
}

func (b *bundle) read(ctx context.Context, p int, k push.Key) (*fence, stored, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	r := &reading{partition: p, key: k, done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, r)
	b.arm()
	b.mu.Unlock()
	select {
	case <-r.done:
		return r.fence, r.view, r.err
	case <-ctx.Done():
		return nil, stored{}, ctx.Err()
	}
}

// arm schedules the next group of reads. The caller holds mu.
func (b *bundle) arm() {
	if b.armed || len(b.waiting) == 0 || b.flights == maxFlights {
		return
	}
	b.armed = true
	if b.flights == 0 {
		go b.fly()
		return
	}
	time.AfterFunc(flightGap<<(b.flights-1), b.fly)
}

func (b *bundle) fly() {
	b.mu.Lock()
	n := min(len(b.waiting), readsAtOnce)
	all := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	b.armed = false
	b.flights++
	b.arm()
	b.mu.Unlock()

	asks, at := gather(all)
	ctx, cancel := context.WithTimeout(context.Background(), storeWithin)
	defer cancel()
	for i, got := range b.load(ctx, asks) {
		for _, r := range at[i] {
			r.fence, r.err = got.fence, got.err
			for j, k := range asks[i].keys {
				if got.err == nil && k == r.key {
					r.view = got.views[j]
				}
			}
			close(r.done)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flights--
	b.arm()
}

// gather groups readings by partition, and asks for each view once.
func gather(all []*reading) (asks []ask, at [][]*reading) {
	of, named := map[int]int{}, map[push.Key]bool{}
	for _, r := range all {
		n, there := of[r.partition]
		if !there {
			n = len(asks)
			of[r.partition] = n
			asks, at = append(asks, ask{partition: r.partition}), append(at, nil)
		}
		at[n] = append(at[n], r)
		if !named[r.key] {
			named[r.key] = true
			asks[n].keys = append(asks[n].keys, r.key)
		}
	}
	return asks, at
}
