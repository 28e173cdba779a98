package api

import (
	"container/heap"
	"sync"
	"time"

	"github.com/headwayhq/headway/pkg/push"
)

// clock renews what streams show when it changes with time alone. It has the frames that were rendered, each with the
// moment until which it says what a new answer would say. When a partition's time moves, this costs one comparison as long as
// none of these moments has come.
type clock struct {
	partition func(ns, batch string) int
	renew     func(k push.Key, old, next *push.Frame)

	parts []turns
}

// turns are the frames of one partition.
type turns struct {
	mu  sync.Mutex
	due dueHeap
	of  map[push.Key]*turn
}

type turn struct {
	key   push.Key
	until time.Time
	frame *push.Frame
	place int
}

func newClock(partitions int, partition func(ns, batch string) int) *clock {
	c := &clock{partition: partition, parts: make([]turns, partitions)}
	for i := range c.parts {
		c.parts[i].of = map[push.Key]*turn{}
	}
	return c
}

// set notes when a rendered frame has to be renewed. A topic has one such moment, that of its newest frame.
func (c *clock) set(s *shown) {
	k := s.key
	p := &c.parts[c.partition(k.Namespace, k.Name)]
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.of[k]
	switch {
	case s.until.IsZero():
		if t != nil && (t.frame.Identity != s.frame.Identity || s.frame.Seq >= t.frame.Seq) {
			p.remove(t)
		}
	case t == nil:
		t = &turn{key: k, until: s.until, frame: s.frame}
		p.of[k] = t
		heap.Push(&p.due, t)
	case t.frame.Identity != s.frame.Identity || s.frame.Seq >= t.frame.Seq:
		t.until, t.frame = s.until, s.frame
		heap.Fix(&p.due, t.place)
	}
}

// moved renews the frames whose moment has come.
func (c *clock) moved(partition int, asOf time.Time) {
	p := &c.parts[partition]
	for {
		t := p.take(asOf)
		if t == nil {
			return
		}
		c.renew(t.key, t.frame, c.frame(t.frame.Content.(*shown).content))
	}
}

// take removes the first turn that has come and returns it; nil if none has.
func (p *turns) take(asOf time.Time) *turn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.due) == 0 || p.due[0].until.After(asOf) {
		return nil
	}
	t := heap.Pop(&p.due).(*turn)
	delete(p.of, t.key)
	return t
}

// forget drops a topic that is no longer in use.
func (c *clock) forget(k push.Key) {
	p := &c.parts[c.partition(k.Namespace, k.Name)]
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.of[k]; t != nil {
		p.remove(t)
	}
}

func (p *turns) remove(t *turn) {
	heap.Remove(&p.due, t.place)
	delete(p.of, t.key)
}

// dueHeap has the earliest moment first.
type dueHeap []*turn

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].until.Before(h[j].until) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *dueHeap) Push(x any) {
	t := x.(*turn)
	t.place = len(*h)
	*h = append(*h, t)
}

func (h *dueHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return t
}
