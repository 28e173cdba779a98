package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/headwayhq/headway/pkg/eventlog"
)

// group is partitions that the main reader has passed. One reader serves them all until the main reader can take over. Its
// router guards it.
//
// With a reader each the server would search the whole log once for each partition, which holds up everybody else who needs the
// stream, and would have as many times as much on its way to this process.
type group struct {
	r        *router
	members  map[int]*queue // those that still need it
	position uint64         // everything of the members up to here is queued or folded
}

// group makes a group of at least one queue.
func (r *router) group(queues []*queue) *group {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := &group{r: r, members: map[int]*queue{}, position: queues[0].last}
	for _, q := range queues {
		g.members[q.number] = q
		g.position = min(g.position, q.last)
	}
	return g
}

// next returns the first sequence to read, and the partition to read: −1 for all.
func (g *group) next() (from uint64, partition int) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	if len(g.members) == 1 {
		for partition = range g.members {
			return g.position + 1, partition
		}
	}
	return g.position + 1, -1
}

// at is the position of the group.
func (g *group) at() uint64 {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	return g.position
}

// errGroupDone: no partition needs the group any longer.
var errGroupDone = errors.New("all partitions are attached")

// bulk is how many messages of a member are queued before its worker is woken: what has to be folded until the member is complete
// is committed in few large parts.
const bulk = 1024

// feed queues a message for the member that it belongs to. It waits while that queue is full. A member that doesn't take from its
// queue leaves: it reads what it missed by itself, when it takes again. Errors: errGroupDone, the context's.
func (g *group) feed(ctx context.Context, m eventlog.Message) error {
	r := g.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := g.members[m.Partition]; q != nil {
		for q.full() && !q.stalled && r.slots[q.number].queue == q && ctx.Err() == nil {
			r.moved.Wait()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if q.full() || r.slots[q.number].queue != q {
			delete(g.members, q.number)
		} else {
			q.put(m)
			if len(q.waiting) >= bulk || q.bytes >= takeBytes || q.full() {
				q.wake()
			}
		}
	}
	g.position = max(g.position, m.Seq)
	if m.Seq < r.position && m.Seq&0xff != 0 && len(g.members) > 1 {
		return nil
	}
	return g.settle()
}

// reached tells the group that the log ended at last when the main reader was at position or beyond. Errors: errGroupDone.
func (g *group) reached(last, position uint64) error {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	if g.position >= last {
		g.position = max(g.position, position)
	}
	for _, q := range g.members {
		q.wake() // nothing came for a while
	}
	return g.settle()
}

// settle attaches members that miss nothing between them and the main reader, and forgets those that aren't owned any longer.
func (g *group) settle() error {
	for number, q := range g.members {
		s := &g.r.slots[number]
		if s.queue == q && !s.attached && !q.stalled && attachable(g.position, s.dropped, g.r.start) {
			s.attached, q.since = true, time.Now()
			q.wake()
		}
		if s.queue != q || s.attached {
			delete(g.members, number)
		}
	}
	if len(g.members) == 0 {
		return errGroupDone
	}
	return nil
}
