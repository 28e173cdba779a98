package main

import (
	"context"
	"fmt"
	"time"
)

// scene is where one fault happens. What is aimed at one partition keeps it to itself: another fault there at the same
// time would be taken for a consequence of the first.
type scene struct {
	*run

	parts []int
}

// take keeps a partition to this fault, and reports whether it was free.
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

// leave gives the partitions back.
func (s *scene) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		delete(s.taken, p)
	}
	s.parts = nil
}

// untouched are the partitions at which no fault is aimed.
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

// newVictim names a batch that something is going to happen to, in a partition of this fault's own.
func (s *scene) newVictim() key {
	for {
		k := key{"victim", fmt.Sprintf("v%05d", s.pulsed.Add(1))}
		if s.take(partition(k)) {
			return k
		}
	}
}

// victim is a batch that something is going to happen to. It is known to every api when it is returned.
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

// anyPartition takes one that nothing else is aimed at.
func (s *scene) anyPartition() int {
	for {
		if p := int(s.jitter(0, partitions-1) / time.Millisecond); s.take(p) {
			return p
		}
	}
}
