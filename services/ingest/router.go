package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/headwayhq/headway/pkg/eventlog"
)

// router distributes the messages of the main reader to the partitions, and knows its position. The position
// and the queues change under one lock, so "everything up to the position is queued or folded" is always true
// for an attached partition.
//
// The main reader drops messages of partitions that aren't attached. A group reads for such partitions until they have everything that
// the main reader dropped, and attaches them in the same step that finds this out. A partition that can't fold for a while is detached
// when its queue is full, so that the others continue.
type router struct {
	mu    sync.Mutex
	moved *sync.Cond // a queue was emptied, a partition was removed, or the position moved
	limit int        // events queued per partition
	bytes int64      // bytes queued of all partitions
	share int        // bytes queued per partition

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

// queue has the messages of one partition that wait to be folded. Its router guards it.
type queue struct {
	r       *router
	number  int
	signal  chan struct{} // signals that it isn't empty
	waiting []eventlog.Message
	bytes   int
	spare   []eventlog.Message
	last    uint64    // last sequence queued
	since   time.Time // when the main reader began to deliver
	stalled bool      // the worker doesn't take from it at present
}

func newRouter(partitions, limit int) *router {
	r := &router{slots: make([]slot, partitions), limit: limit, bytes: maxQueueBytes, share: maxQueueBytes}
	r.moved = sync.NewCond(&r.mu)
	return r
}

// queue returns the queue of a partition that is read from cursor + 1 on.
func (r *router) queue(number int, cursor uint64) *queue {
	return &queue{r: r, number: number, last: cursor, signal: make(chan struct{}, 1)}
}

// begin initializes the position of the main reader: it reads from the lowest cursor of the queues added so far or, without any,
// after end. It returns the first sequence to read.
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

// add adds a claimed partition. attached reports whether the main reader will deliver everything that it needs.
func (r *router) add(q *queue) (attached bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.slots[q.number]
	s.queue = q
	r.divide()
	if s.attached = !r.started || q.last >= r.position; s.attached {
		q.since = time.Now()
	}
	return s.attached
}

// remove removes a dropped partition.
func (r *router) remove(q *queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := &r.slots[q.number]; s.queue == q {
		s.dropped = max(s.dropped, r.position) // the next owner in this process doesn't get what was routed to it
		s.queue, s.attached = nil, false
		r.divide()
	}
	r.moved.Broadcast()
}

// divide gives each partition its share of the memory for queues. The caller holds mu.
func (r *router) divide() {
	owned := 0
	for i := range r.slots {
		if r.slots[i].queue != nil {
			owned++
		}
	}
	r.share = int(r.bytes) / max(1, owned)
}

// route queues a message of the main reader. It waits while the partition's queue is full.
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
			s.queue.wake()
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

const (
	maxQueueBytes = 64 << 20 // of all queues, unless there is a budget
	messageSize   = 160      // bytes that a message takes beside its data
)

func sizeOf(m *eventlog.Message) int { return messageSize + len(m.Data) }

func (q *queue) full() bool {
	return len(q.waiting) >= q.r.limit || len(q.waiting) > 0 && q.bytes >= q.r.share
}

// put queues a message unless it has been queued before. The caller holds the router's lock.
func (q *queue) put(m eventlog.Message) {
	if m.Seq <= q.last {
		return
	}
	q.last = m.Seq
	q.waiting = append(q.waiting, m)
	q.bytes += sizeOf(&m)
}

// wake signals to the worker that something is queued. The caller holds the router's lock.
func (q *queue) wake() {
	if len(q.waiting) == 0 {
		return
	}
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// stall sets whether the worker takes from the queue.
func (q *queue) stall(on bool) {
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	q.stalled = on
	q.r.moved.Broadcast()
}

// attached reports whether the main reader delivers this partition's messages.
func (q *queue) attached() bool {
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	s := &q.r.slots[q.number]
	return s.queue == q && s.attached
}

// attachedAt is since when the main reader delivers this partition's messages.
func (q *queue) attachedAt() time.Time {
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	return q.since
}

// attachable reports whether everything of a partition has been read that the main reader dropped, and everything before the main
// reader's start.
func attachable(position, dropped, start uint64) bool {
	return position >= dropped && position+1 >= start
}

// takeBytes limits what is folded at once, so that events of small batches are committed between the parts of a large one.
const takeBytes = 4 << 20

// take returns queued messages to a partition's worker, at most limit, and whether more are left.
func (q *queue) take(limit int) (batch []eventlog.Message, more bool) {
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	n, size := 0, 0
	for n < len(q.waiting) && n < limit && (n == 0 || size < takeBytes) {
		size += sizeOf(&q.waiting[n])
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
	q.wake()
	return batch, len(q.waiting) > 0
}

// reuse returns the memory of a batch of messages.
func (q *queue) reuse(batch []eventlog.Message) {
	clear(batch)
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	q.spare = batch[:0]
}

// before reports whether an attached partition has folded everything up to seq, provided that its worker, which
// calls it, has no messages in progress.
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

// wake makes all waiting goroutines check again.
func (r *router) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved.Broadcast()
}
