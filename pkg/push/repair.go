package push

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/internal/seeded"
)

// heldPoll is the interval at which a topic is read for clients that are ahead of it.
const heldPoll = time.Second

// Run repairs and forgets topics until ctx ends, and closes the hub then. It always returns nil.
func (h *Hub) Run(ctx context.Context) error {
	defer h.Close()
	tick := time.NewTicker(min(heldPoll, h.cfg.Repair))
	defer tick.Stop()
	last := time.Now()
	for {
		var all bool
		select {
		case <-ctx.Done():
			return nil
		case <-h.kick:
			all = true
		case now := <-tick.C:
			all = now.Sub(last) >= h.cfg.Repair
		}
		if all {
			last = time.Now()
			h.sweep(last)
		}
		topics := h.inUse(all)
		if len(topics) == 0 {
			continue
		}
		if err := h.repair(ctx, topics); err != nil && ctx.Err() == nil {
			h.cfg.Logger.Warn("comparing topics with their source failed", "topics", len(topics), "error", err)
		}
	}
}

// inUse lists the topics to compare: all, or only those with clients that are ahead.
func (h *Hub) inUse(all bool) []*topic {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if len(h.topics) == 0 {
		return nil
	}
	out := make([]*topic, 0, 16)
	for _, t := range h.topics {
		if (all || atomic.LoadInt32(&t.held) > 0) && t.state.Load().ready {
			out = append(out, t)
		}
	}
	return out
}

// repair compares topics with the source in one look. It reads again those that differ, and those for which a
// client is held, because releasing a client requires position and state of one moment.
func (h *Hub) repair(ctx context.Context, topics []*topic) error {
	if seeded.Bug("no-repair") || seeded.Bug("read-before-subscribe") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.WriteTimeout)
	defer cancel()
	keys := make([]Key, len(topics))
	for i, t := range topics {
		keys[i] = t.key
	}
	looks, err := h.source.Look(ctx, keys)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(8)
	for i, l := range looks {
		t := topics[i]
		if s := t.state.Load(); atomic.LoadInt32(&t.held) == 0 && !l.ahead(s.frame) && !l.doubts(s) {
			continue
		}
		g.Go(func() error { return h.refresh(ctx, t) })
	}
	return g.Wait()
}

func (l Look) ahead(f *Frame) bool {
	if f == nil {
		return l.Seq > 0
	}
	return l.Identity != f.Identity || l.Seq > f.Seq || l.supersedes(f)
}

// keptFor is how long a frame that was found among the kept states is trusted.
const keptFor = 30 * time.Second

// doubts reports that the store doesn't have a state any more, so that the topic's frame may not be the last one before it was dropped.
func (l Look) doubts(s *state) bool {
	if !l.Gone || s.frame == nil {
		return false
	}
	return !s.read.Kept || s.read.Frame.Seq != s.frame.Seq || time.Since(s.readAt) >= keptFor
}

// restAfter is how long a topic is unused before its content may rest.
const restAfter = 5 * time.Second

// sweep forgets topics that were unused for Config.Linger, or at once when there are too many. The contents of others that are unused rest.
func (h *Hub) sweep(now time.Time) {
	h.mu.Lock()
	excess := h.idle - h.cfg.MaxTopics
	var out []*topic
	for k, t := range h.topics {
		if t.refs > 0 {
			continue
		}
		unused := time.Duration(now.UnixNano() - atomic.LoadInt64(&t.used))
		if unused > restAfter {
			t.rest()
		}
		if excess > 0 || unused > h.cfg.Linger {
			delete(h.topics, k)
			h.idle--
			excess--
			out = append(out, t)
		}
	}
	h.mu.Unlock()
	for _, t := range out {
		_ = t.first.Acquire(context.Background(), 1) // never fails
		if t.live {
			h.unwatch(t)
		}
		t.live, t.gone = false, true
		t.first.Release(1)
	}
}

func (t *topic) rest() {
	if f := t.state.Load().frame; f != nil {
		if c, able := f.Content.(RestingContent); able {
			c.Rest()
		}
	}
}

// unwatch ends the watch of t, unless a newer topic of the same key uses it.
func (h *Hub) unwatch(t *topic) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.topics[t.key] == nil {
		h.source.Unwatch(t.key)
	}
}
