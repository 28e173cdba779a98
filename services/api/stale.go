package api

import (
	"context"
	"sync"

	"github.com/headwayhq/headway/pkg/push"
)

// staleSet has the batches of pushes without the view, each once, however many pushes there were.
type staleSet struct {
	mu   sync.Mutex
	keys map[push.Key]struct{}
	wake chan struct{}
}

func newStaleSet() *staleSet {
	return &staleSet{keys: map[push.Key]struct{}{}, wake: make(chan struct{}, 1)}
}

func (s *staleSet) add(k push.Key) {
	s.mu.Lock()
	s.keys[k] = struct{}{}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *staleSet) take() (keys []push.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.keys {
		keys = append(keys, k)
	}
	clear(s.keys)
	return keys
}

// run reads them again. The hub's repair takes care of views that can't be read now.
func (s *staleSet) run(ctx context.Context, h *push.Hub) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		}
		for _, k := range s.take() {
			limited, cancel := context.WithTimeout(ctx, storeWithin)
			_ = h.Stale(limited, k)
			cancel()
		}
	}
}
