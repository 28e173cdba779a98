package main

import (
	"context"
	"fmt"
	"time"
)

// scene is where one fault happens. A fault with one target partition reserves it, because the effects of another
// fault there would be attributed to the first.
type scene struct {
	*run

	parts []int
}

// take reserves a partition for this fault, and reports whether it was free.
func (s *scene) take(p int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[p] {
		return false
	}
	s.taken[p] = true
	s.parts = append(s.parts, p)
	return true
}

// leave releases the partitions.
func (s *scene) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		delete(s.taken, p)
	}
	s.parts = nil
}

// untouched returns the partitions that are no target of a fault.
func (s *scene) untouched() (out []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range partitions {
		if !s.taken[p] {
			out = append(out, p)
		}
	}
	return out
}

// newVictim returns a name for a batch that will be affected, in a partition reserved for this fault.
func (s *scene) newVictim() key {
	for {
		k := key{"victim", fmt.Sprintf("v%05d", s.pulsed.Add(1))}
		if s.take(partition(k)) {
			return k
		}
	}
}

// victim creates a batch that will be affected. Every api serves it when victim returns.
func (s *scene) victim(ctx context.Context) (k key, seq uint64, err error) {
	k = s.newVictim()
	if _, err = s.tell(ctx, k, "batch", "dev.headway.batch.v1", `{"status":"PROCESSING"}`, nil); err != nil {
		return k, 0, err
	}
	seq, err = s.tell(ctx, k, "tier.0.progress", "dev.headway.tier.v1", `{"tier_num":0,"processed_documents":10,"total_documents":80}`, nil)
	if err == nil {
		err = s.arrive(ctx, []sent{{k, seq}}, s.within(recovered))
	}
	return k, seq, err
}

// anyPartition reserves a partition that is no other target.
func (s *scene) anyPartition() int {
	for {
		if p := int(s.jitter(0, partitions-1) / time.Millisecond); s.take(p) {
			return p
		}
	}
}
