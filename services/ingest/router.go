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
// the main reader dropped, and is attached in the same step that finds this out. One that can't fold for now is detached
// when its queue is full, so that the others go on.
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
	queue    *queue // nil: not owned
	attached bool
	dropped  uint64 // last sequence of this partition that the main reader dropped
}

// queue is what waits to be folded of one partition. Its router guards it.
type queue struct {
	r       *router
	number  int
	signal  chan struct{} // it isn't empty
	waiting []eventlog.Message
	bytes   int
	spare   []eventlog.Message
	last    uint64 // last sequence queued
	stalled bool   // nobody takes from it for now
}

func newRouter(partitions, limit int) *router {
	r := &router{slots: make([]slot, partitions), limit: limit}
	r.moved = sync.NewCond(&r.mu)
	return r
}

// queue of a partition that is read from behind cursor.
func (r *router) queue(number int, cursor uint64) *queue {
	return &queue{r: r, number: number, last: cursor, signal: make(chan struct{}, 1)}
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
			if s.queue != nil {
				lowest = min(lowest, s.queue.last)
			}
		}
		r.start, r.position = lowest+1, lowest
	}
	return r.position + 1
}

// add takes in a partition that was claimed. attached: the main reader will bring all it needs.
func (r *router) add(q *queue) (attached bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.slots[q.number]
	s.queue = q
	s.attached = !r.started || q.last >= r.position
	return s.attached
}

// remove takes out a partition that was dropped.
func (r *router) remove(q *queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := &r.slots[q.number]; s.queue == q {
		s.dropped = max(s.dropped, r.position) // what was routed to it is lost to the next owner here
		s.queue, s.attached = nil, false
	}
	r.moved.Broadcast()
}

// route takes a message of the main reader; it waits while the partition's queue is full.
func (r *router) route(ctx context.Context, m eventlog.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.Partition >= 0 && m.Partition < len(r.slots) {
		s := &r.slots[m.Partition]
		for s.attached && s.queue.full() && ctx.Err() == nil {
			if s.queue.stalled {
				s.attached = false
				break
			}
			r.moved.Wait()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.attached {
			s.queue.put(m)
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

// maxQueueBytes bounds what waits of one partition, beside the number of events.
const maxQueueBytes = 64 << 20

func (q *queue) full() bool { return len(q.waiting) >= q.r.limit || q.bytes >= maxQueueBytes }

// put takes a message, once. The router's lock is held.
func (q *queue) put(m eventlog.Message) {
	if m.Seq <= q.last {
		return
	}
	q.last = m.Seq
	q.waiting = append(q.waiting, m)
	q.bytes += len(m.Data)
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// feed takes a message of a partition's own reader.
func (q *queue) feed(ctx context.Context, m eventlog.Message) error {
	r := q.r
	r.mu.Lock()
	defer r.mu.Unlock()
	for q.full() && ctx.Err() == nil && r.slots[q.number].queue == q {
		r.moved.Wait()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if r.slots[q.number].queue == q {
		q.put(m)
	}
	return nil
}

// attach ends a partition's own reading if nothing is missing between it and the main reader. position is how far
// the partition is known to have read: all of its messages up to there are queued or folded.
func (q *queue) attach(position uint64) bool {
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	s := &q.r.slots[q.number]
	if s.queue != q || q.stalled || !attachable(max(position, q.last), s.dropped, q.r.start) {
		return false
	}
	s.attached = true
	return true
}

// stall says whether somebody takes from the queue.
func (q *queue) stall(on bool) {
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	q.stalled = on
	q.r.moved.Broadcast()
}

// attached tells whether the main reader brings this partition's messages.
func (q *queue) attached() bool {
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	s := &q.r.slots[q.number]
	return s.queue == q && s.attached
}

// attachable: everything that the main reader dropped of the partition, and everything from before it
// began, has been read by the partition itself.
func attachable(position, dropped, start uint64) bool {
	return position >= dropped && position+1 >= start
}

// takeBytes bounds what is folded at once, so that small batches are committed between the parts of a large one.
const takeBytes = 4 << 20

// take gives a partition's worker what is queued, at most limit messages, and whether more is left.
func (q *queue) take(limit int) (batch []eventlog.Message, more bool) {
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	n, size := 0, 0
	for n < len(q.waiting) && n < limit && (n == 0 || size < takeBytes) {
		size += len(q.waiting[n].Data)
		n++
	}
	q.bytes -= size
	if n == len(q.waiting) {
		batch, q.waiting = q.waiting, q.spare[:0]
		q.spare = nil
	} else {
		batch, q.spare = q.spare[:0], nil
		batch = append(batch, q.waiting[:n]...)
		left := copy(q.waiting, q.waiting[n:])
		clear(q.waiting[left:])
		q.waiting = q.waiting[:left]
	}
	q.r.moved.Broadcast()
	if len(q.waiting) > 0 {
		select {
		case q.signal <- struct{}{}:
		default:
		}
	}
	return batch, len(q.waiting) > 0
}

// reuse gives a batch's memory back.
func (q *queue) reuse(batch []eventlog.Message) {
	clear(batch)
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	q.spare = batch[:0]
}

// lastQueued is the last sequence queued.
func (q *queue) lastQueued() uint64 {
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	return q.last
}

// before tells whether an attached partition has folded everything up to seq, given that its worker, who
// asks, has nothing in hand.
func (q *queue) before(seq uint64) bool {
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	s := &q.r.slots[q.number]
	return s.queue == q && s.attached && (len(q.waiting) == 0 || q.waiting[0].Seq > seq)
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
