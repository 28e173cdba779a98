package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/headwayhq/headway/pkg/eventlog"
)

// router hands what the main reader reads to the partitions, and tells how far it has come. Its position
// and the queues move under one lock, so "everything up to the position is queued or folded" always holds
// for an attached partition.
//
// A partition that isn't attached is dropped by the main reader; it reads by itself until it has all that
// the main reader dropped, and is attached in the same step that finds this out.
type router struct {
	mu    sync.Mutex
	moved *sync.Cond // a queue was taken, a partition went, or the position moved
	limit int        // events queued per partition

	started  bool
	start    uint64 // the main reader's first sequence
	position uint64 // everything up to here is routed
	stored   int64  // when the message at the position was stored, ns
	slots    []slot
}

type slot struct {
	part     *partition // nil: not owned
	attached bool
	dropped  uint64 // last sequence of this partition that the main reader dropped
}

func newRouter(partitions, limit int) *router {
	r := &router{slots: make([]slot, partitions), limit: limit}
	r.moved = sync.NewCond(&r.mu)
	return r
}

// begin starts the main reader's account: it will read from the lowest cursor of those added so far, else
// from behind end. It returns the first sequence to read.
func (r *router) begin(end uint64) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.started {
		r.started = true
		lowest := end
		for _, s := range r.slots {
			if s.part != nil {
				lowest = min(lowest, s.part.last)
			}
		}
		r.start, r.position = lowest+1, lowest
	}
	return r.position + 1
}

// add takes in a partition that was claimed. attached: the main reader will bring all it needs.
func (r *router) add(p *partition) (attached bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.slots[p.number]
	s.part = p
	s.attached = !r.started || p.last >= r.position
	return s.attached
}

// remove takes out a partition that was dropped.
func (r *router) remove(p *partition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := &r.slots[p.number]; s.part == p {
		s.dropped = max(s.dropped, r.position) // what was routed to it is lost to the next owner here
		s.part, s.attached = nil, false
	}
	r.moved.Broadcast()
}

// route takes a message of the main reader; it waits while the partition's queue is full.
func (r *router) route(ctx context.Context, m eventlog.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.Partition >= 0 && m.Partition < len(r.slots) {
		s := &r.slots[m.Partition]
		for s.attached && len(s.part.queue) >= r.limit && ctx.Err() == nil {
			r.moved.Wait()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.attached {
			s.part.enqueue(m)
		} else {
			s.dropped = m.Seq
		}
	}
	r.position, r.stored = m.Seq, m.Stored.UnixNano()
	if m.Seq&0xff == 0 {
		r.moved.Broadcast()
	}
	return nil
}

// feed takes a message of a partition's own reader.
func (r *router) feed(ctx context.Context, p *partition, m eventlog.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(p.queue) >= r.limit && ctx.Err() == nil && r.slots[p.number].part == p {
		r.moved.Wait()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if r.slots[p.number].part == p {
		p.enqueue(m)
	}
	return nil
}

// attach ends a partition's own reading if nothing is missing between it and the main reader. position is how far
// the partition is known to have read: all of its messages up to there are queued or folded.
func (r *router) attach(p *partition, position uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.slots[p.number]
	if s.part != p || !attachable(max(position, p.last), s.dropped, r.start) {
		return false
	}
	s.attached = true
	return true
}

// attachable: everything that the main reader dropped of the partition, and everything from before it
// began, has been read by the partition itself.
func attachable(position, dropped, start uint64) bool {
	return position >= dropped && position+1 >= start
}

// take gives a partition's worker what is queued, at most limit messages, and whether more is left.
func (r *router) take(p *partition, limit int) (batch []eventlog.Message, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(p.queue) <= limit {
		batch, p.queue = p.queue, p.spare[:0]
		p.spare = nil
	} else {
		batch, p.spare = p.spare[:0], nil
		batch = append(batch, p.queue[:limit]...)
		n := copy(p.queue, p.queue[limit:])
		clear(p.queue[n:])
		p.queue = p.queue[:n]
	}
	r.moved.Broadcast()
	return batch, len(p.queue) > 0
}

// before tells whether an attached partition has folded everything up to seq, given that its worker, who
// asks, has nothing in hand.
func (r *router) before(p *partition, seq uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slots[p.number].part == p && r.slots[p.number].attached &&
		(len(p.queue) == 0 || p.queue[0].Seq > seq)
}

// at is the main reader's position and when its message was stored.
func (r *router) at() (position uint64, stored int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position, r.stored
}

// reach waits until the position has reached seq, but not for longer than limit.
func (r *router) reach(ctx context.Context, seq uint64, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stop := context.AfterFunc(ctx, r.wake)
	defer stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.position < seq && ctx.Err() == nil {
		r.moved.Wait()
	}
	return r.position >= seq
}

// wake makes everyone who waits look again.
func (r *router) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved.Broadcast()
}
