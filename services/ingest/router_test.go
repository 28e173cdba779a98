package ingest

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
)

func unixNano(ns int64) time.Time { return time.Unix(0, ns) }

func message3(seq uint64, p int) eventlog.Message {
	return eventlog.Message{Seq: seq, Partition: p, Stored: unixNano(int64(seq))}
}

func sequences(q *queue) []uint64 {
	batch, _ := q.take(1 << 30)
	var out []uint64
	for _, m := range batch {
		out = append(out, m.Seq)
	}
	return out
}

// However the main reader and a group's reader interleave, and whenever the latter restarts, each partition gets each of its
// messages once and in order.
func TestRouterHandsOverWithoutGap(t *testing.T) {
	const partitions, end = 3, 60
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		ctx := t.Context()
		r := newRouter(partitions, 1000)
		start := uint64(rng.IntN(20))
		r.begin(start)
		main := r.start
		for ; main <= start+uint64(rng.IntN(20)); main++ { // read before the claims
			_ = r.route(ctx, message3(main, int(main%partitions)))
		}
		var claimed, passed []*queue
		var from []uint64
		for p := range 1 + rng.IntN(partitions) {
			q := r.queue(p, uint64(rng.IntN(10)))
			claimed, from = append(claimed, q), append(from, q.last)
			if !r.add(q) {
				passed = append(passed, q)
			}
		}
		done := len(passed) == 0
		var g *group
		own, only := uint64(0), 0
		if !done {
			g = r.group(passed)
			own, only = g.next()
		}
		for main <= end || !done {
			if main <= end && rng.IntN(2) == 0 {
				_ = r.route(ctx, message3(main, int(main%partitions)))
				main++
				continue
			}
			if done {
				continue
			}
			if rng.IntN(10) == 0 {
				own, only = g.next()
			}
			position, _ := r.at()
			stored := min(end, main+uint64(rng.IntN(3))) // all that main has read, and more
			var err error
			if own <= stored {
				if only < 0 || own%partitions == uint64(only) {
					err = g.feed(ctx, message3(own, int(own%partitions)))
				}
				own++
			}
			if err == nil && rng.IntN(4) == 0 {
				last := stored
				for only >= 0 && last%partitions != uint64(only) {
					last--
				}
				err = g.reached(last, position)
			}
			done = err != nil
		}
		for i, q := range claimed {
			var want []uint64
			for s := from[i] + 1; s <= end; s++ {
				if s%partitions == uint64(q.number) {
					want = append(want, s)
				}
			}
			if got := sequences(q); !slices.Equal(got, want) {
				t.Fatalf("seed %d: p%d got %v, want %v", seed, q.number, got, want)
			}
		}
	}
}

// A member of a group that doesn't read from its full queue leaves the group, and doesn't block the other members.
func TestGroupGoesOnWithoutAStalledMember(t *testing.T) {
	r := newRouter(2, 1)
	r.begin(9)
	stalled, other := r.queue(0, 0), r.queue(1, 0)
	for _, q := range []*queue{stalled, other} {
		if r.add(q) {
			t.Fatal("the main reader has passed it")
		}
	}
	g := r.group([]*queue{stalled, other})
	stalled.stall(true)
	for seq := uint64(1); seq <= 3; seq++ {
		if err := g.feed(t.Context(), message3(seq, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.feed(t.Context(), message3(9, 1)); !errors.Is(err, errGroupDone) || !other.attached() {
		t.Errorf("the other isn't attached: %v", err)
	}
	if stalled.attached() {
		t.Error("attached although it missed messages")
	}
	stalled.stall(false)
	if got := sequences(stalled); !slices.Equal(got, []uint64{1}) {
		t.Errorf("it got %v", got)
	}
	if from, partition := r.group([]*queue{stalled}).next(); from != 2 || partition != 0 {
		t.Errorf("it goes on at %d of partition %d", from, partition)
	}
}

// A full queue blocks the main reader until the worker reads from it, or ends.
func TestRouterBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := newRouter(1, 2)
		context.AfterFunc(ctx, r.wake)
		p := r.queue(0, 0)
		r.add(p)
		r.begin(0)
		routed := make(chan uint64, 10)
		ended := make(chan error, 1)
		go func() {
			for seq := uint64(1); ; seq++ {
				if err := r.route(ctx, message3(seq, 0)); err != nil {
					ended <- err
					return
				}
				routed <- seq
			}
		}()
		synctest.Wait()
		if len(routed) != 2 {
			t.Fatalf("%d messages were routed into a queue of 2", len(routed))
		}
		if got := sequences(p); len(got) != 2 {
			t.Fatalf("took %v", got)
		}
		synctest.Wait()
		if len(routed) != 4 {
			t.Fatalf("%d messages were routed after a take", len(routed))
		}
		if position, _ := r.at(); position != 4 {
			t.Errorf("position %d", position)
		}
		if p.before(2) != true || p.before(3) != false {
			t.Error("what is queued counts as folded, or the other way round")
		}
		cancel()
		if err := <-ended; err == nil {
			t.Error("it ended without a reason")
		}
	})
}

// What was used least recently is packed, and of what is packed only what is in the store is forgotten.
func TestCacheForgetsTheOldest(t *testing.T) {
	b := &budget{decoded: 2 * (entrySize + decodedFactor*1000), views: 3*entrySize + 20_000}
	c := newCache(b)
	for _, name := range []string{"n.a", "n.b", "n.c", "n.d"} {
		e := c.add(name)
		e.view = diagnostics.NewView("n", name[2:])
		c.resize(e, 1000)
	}
	c.get("n.a")
	c.get("n.b").dirty = true
	c.get("n.a")
	e := func(name string) *entry { return c.byName[name] }
	c.shrink(func(e *entry) ([]byte, bool) { return e.view.Append(nil), true })
	if e("n.a").view == nil || e("n.b").view == nil || e("n.c") != nil && e("n.c").view != nil {
		t.Errorf("%+v %+v %+v", e("n.a"), e("n.b"), e("n.c"))
	}
	if c.decoded > b.decoded || c.decoded != b.nowDecoded.Load() || c.size > b.views || c.size != b.nowViews.Load() {
		t.Errorf("%d of %d are decoded, %d of %d there", c.decoded, b.decoded, c.size, b.views)
	}
	b.decoded, b.views = 0, 0
	c.shrink(func(e *entry) ([]byte, bool) { return e.view.Append(nil), true })
	if e("n.a").view == nil || e("n.b").packed == nil || e("n.c") != nil || e("n.d") != nil {
		t.Errorf("%+v %+v, and %d are there", e("n.a"), e("n.b"), len(c.byName))
	}
	c.drop()
	if b.nowDecoded.Load() != 0 || b.nowViews.Load() != 0 {
		t.Errorf("%d and %d bytes are left of nothing", b.nowDecoded.Load(), b.nowViews.Load())
	}
}
