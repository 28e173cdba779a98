package ingest

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

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

// However the main reader and a partition's own reader interleave, the partition gets each of its messages
// once and in order.
func TestRouterHandsOverWithoutGap(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 0))
		ctx := t.Context()
		r := newRouter(2, 1000)
		const end = 60
		mine := func(seq uint64) bool { return seq%3 == 0 } // partition 1's messages
		start := uint64(rng.IntN(20))
		r.begin(start)
		p := r.queue(1, uint64(rng.IntN(10)))
		from := p.last
		main := r.start
		for ; main <= start+uint64(rng.IntN(20)); main++ { // read before the claim
			_ = r.route(ctx, message3(main, boolInt(mine(main))))
		}
		attached := r.add(p)
		own := from + 1
		for main <= end || !attached {
			if main <= end && rng.IntN(2) == 0 {
				_ = r.route(ctx, message3(main, boolInt(mine(main))))
				main++
				continue
			}
			if attached {
				continue
			}
			position, _ := r.at()
			last := uint64(0) // of what is stored so far: all that main has read, and more
			stored := min(end, main+uint64(rng.IntN(3)))
			for s := uint64(1); s <= stored; s++ {
				if mine(s) {
					last = s
				}
			}
			if own <= stored {
				if mine(own) {
					_ = p.feed(ctx, message3(own, 1))
				}
				own++
			}
			read := p.lastQueued()
			if read >= last {
				read = max(read, position)
			}
			attached = p.attach(read)
		}
		var want []uint64
		for s := from + 1; s <= end; s++ {
			if mine(s) {
				want = append(want, s)
			}
		}
		got := sequences(p)
		if len(got) != len(want) {
			t.Fatalf("seed %d: got %v, want %v", seed, got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("seed %d: got %v, want %v", seed, got, want)
			}
		}
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A full queue holds the main reader until the worker takes; its end lets it go.
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

func TestCacheForgetsTheOldest(t *testing.T) {
	c := newCache(3 * entrySize)
	for _, name := range []string{"n.a", "n.b", "n.c", "n.d"} {
		c.add(name)
	}
	c.get("n.a")
	c.shrink()
	if c.get("n.a") == nil || c.get("n.b") != nil || c.size > c.limit {
		t.Errorf("size %d of %d", c.size, c.limit)
	}
}
