package push

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

var errGone = errors.New("there is no such topic")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStreamFromSnapshotToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.put(topicKey, frame("a", 1))
		h := New(s, Config{})
		c := connect(t, serve(t, h), "")
		for name, want := range map[string]string{
			"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache, no-transform",
			"X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff", "Content-Encoding": "",
		} {
			if got := c.resp.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		c.want(event("snapshot", frame("a", 1)))
		h.Publish(topicKey, frame("a", 2))
		c.want(event("update", frame("a", 2)))
		h.Publish(topicKey, frame("a", 2)) // a repeat is dropped
		h.Publish(topicKey, frame("a", 1)) // and so is what is older
		stuck := &Frame{Identity: "a", Seq: 3, ID: "a-1-3", Content: text{json: "{}", mark: "stuck"}}
		h.Publish(topicKey, stuck)
		c.want(event("health", stuck))
		over := &Frame{Identity: "a", Seq: 4, ID: "a-1-4", Content: text{json: "{}", mark: "ok", final: true}}
		h.Publish(topicKey, over)
		c.want(event("end", over))
		c.wantEnd()
		s.put(topicKey, over)
		if _, err := h.Subscribe(t.Context(), topicKey, "a-1-4", nil); !errors.Is(err, ErrEnded) {
			t.Fatalf("reconnect after the end: %v", err)
		}
	})
}

func TestFinishedTopicGivesSnapshotThenEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		over := &Frame{Identity: "a", Seq: 4, ID: "a-1-4", Content: text{json: "{}", final: true}}
		s.put(topicKey, over)
		c := connect(t, serve(t, New(s, Config{})), "a-1-3")
		c.want(event("snapshot", over))
		c.want(event("end", over))
		c.wantEnd()
	})
}

func TestHeartbeatExactlyOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.put(topicKey, frame("a", 1))
		c := connect(t, serve(t, New(s, Config{})), "")
		c.want(event("snapshot", frame("a", 1)))
		for range 2 { // two in a row make no empty block
			begin := time.Now()
			c.want(":")
			if d := time.Since(begin); d != 15*time.Second {
				t.Fatalf("a comment after %v", d)
			}
		}
	})
}

func TestLastEventID(t *testing.T) {
	for _, x := range []struct {
		name, last string
		kind       string // of the first event; "" for none before the next update
	}{
		{"none", "", "snapshot"},
		{"current", "a-1-5", ""},
		{"older", "a-1-4", "snapshot"},
		{"other identity", "b-1-9", "snapshot"},
		{"other fold", "a-2-5", "snapshot"},
		{"garbage", "%%%", "snapshot"},
		{"negative", "a-1--5", "snapshot"},
		{"overflow", "a-1-99999999999999999999999", "snapshot"},
		{"huge", strings.Repeat("a", 4000) + "-1-9", "snapshot"},
		{"zero", "a-1-0", "snapshot"},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStand("a")
				s.put(topicKey, frame("a", 5))
				h := New(s, Config{})
				c := connect(t, serve(t, h), x.last)
				if x.kind != "" {
					c.want(event(x.kind, frame("a", 5)))
				}
				synctest.Wait()
				h.Publish(topicKey, frame("a", 6))
				c.want(event("update", frame("a", 6)))
			})
		})
	}
}

// A change between subscribing and reading the snapshot comes once, and one that was published before the
// snapshot was read doesn't come again.
func TestSubscribeThenReadLosesAndRepeatsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.put(topicKey, frame("a", 1))
		h := New(s, Config{})
		s.onRead = func() {
			s.mu.Lock()
			watched := s.watched[topicKey]
			s.mu.Unlock()
			if watched { // the write falls between the subscription and its read
				s.put(topicKey, frame("a", 2))
				h.Publish(topicKey, frame("a", 2))
			}
		}
		c := connect(t, serve(t, h), "")
		c.want(event("snapshot", frame("a", 2)))
		s.set(func(s *stand) { s.onRead = nil })
		h.Publish(topicKey, frame("a", 3))
		c.want(event("update", frame("a", 3)))
	})
}

func TestLostHintIsRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.put(topicKey, frame("a", 1))
		h := New(s, Config{})
		c := connect(t, serve(t, h), "")
		c.want(event("snapshot", frame("a", 1)))
		s.put(topicKey, frame("a", 2)) // nobody publishes it
		begin := time.Now()
		c.want(event("update", frame("a", 2)))
		if d := time.Since(begin); d > 2*time.Second {
			t.Fatalf("repaired after %v", d)
		}
		s.put(topicKey, frame("a", 3))
		begin = time.Now()
		h.Repair()
		c.want(event("update", frame("a", 3)))
		if d := time.Since(begin); d != 0 {
			t.Fatalf("repaired after %v when told to", d)
		}
	})
}

// The store may drop a state of which a topic didn't hear. Then the kept one is read, and not again and again.
func TestKeptStateIsReadOnceDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.put(topicKey, frame("a", 1))
		h := New(s, Config{Heartbeat: time.Hour})
		c := connect(t, serve(t, h), "")
		c.want(event("snapshot", frame("a", 1)))
		s.set(func(s *stand) { s.kept, s.frames = map[Key]*Frame{topicKey: frame("a", 2)}, map[Key]*Frame{} })
		begin := time.Now()
		c.want(event("update", frame("a", 2)))
		if d := time.Since(begin); d > 2*time.Second {
			t.Fatalf("read after %v", d)
		}
		var before int
		s.set(func(s *stand) { before = s.reads })
		time.Sleep(keptFor - 5*time.Second)
		s.set(func(s *stand) {
			if s.reads != before {
				t.Errorf("read %d times more", s.reads-before)
			}
			s.kept[topicKey] = frame("a", 3)
		})
		c.want(event("update", frame("a", 3)))
	})
}

func TestSlowClientEndsOnTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.put(topicKey, frame("a", 1))
		h := New(s, Config{})
		p := serve(t, h)
		slow, fast := connect(t, p, ""), connect(t, p, "")
		fast.want(event("snapshot", frame("a", 1)))
		for n := uint64(2); n <= 100; n++ {
			h.Publish(topicKey, frame("a", n))
			fast.want(event("update", frame("a", n))) // nobody waits for the slow one
		}
		got := 0
		for last := ""; last != event("update", frame("a", 100)); got++ {
			var err error
			if last, err = slow.event(); err != nil {
				t.Fatal(err)
			}
		}
		if got > 5 {
			t.Fatalf("the slow client was sent %d events", got)
		}
	})
}

func TestDeadClientIsFreedAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.put(topicKey, frame("a", 1))
		h := New(s, Config{})
		p := serve(t, h)
		connect(t, p, "") // reads headers, nothing after
		synctest.Wait()
		refs := func() int { h.mu.RLock(); defer h.mu.RUnlock(); return h.topics[topicKey].refs }
		time.Sleep(10*time.Second - tick)
		synctest.Wait()
		if refs() != 1 {
			t.Fatal("freed before the deadline")
		}
		time.Sleep(2500*time.Millisecond + tick) // a write may take a quarter longer
		synctest.Wait()
		if refs() != 0 {
			t.Fatal("not freed at the deadline")
		}
	})
}

func TestTopicLingersThenIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.put(topicKey, frame("a", 1))
		h := New(s, Config{})
		c := connect(t, serve(t, h), "")
		c.want(event("snapshot", frame("a", 1)))
		_ = c.conn.Close()
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if _, ok := h.Current(topicKey); !ok {
			t.Fatal("forgotten too early")
		}
		time.Sleep(64 * time.Second)
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if h.Topics() != 0 || len(s.watched) != 0 {
			t.Fatalf("%d topics, %d watched", h.Topics(), len(s.watched))
		}
	})
}

func TestUnknownTopicsAreNotWatched(t *testing.T) {
	s := newStand("a")
	h := New(s, Config{})
	if _, err := h.Subscribe(t.Context(), topicKey, "", nil); !errors.Is(err, ErrNotReady) { // complete, but nothing was claimed
		t.Fatal(err)
	}
	s.absent = errGone
	if _, err := h.Subscribe(t.Context(), topicKey, "", nil); !errors.Is(err, errGone) {
		t.Fatal(err)
	}
	s.err = io.ErrUnexpectedEOF
	if _, err := h.Subscribe(t.Context(), topicKey, "", nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if h.Topics() != 0 || len(s.watched) != 0 {
		t.Fatal("something is watched")
	}
}

func TestCloseEndsStreamsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.put(topicKey, frame("a", 1))
		h := New(s, Config{})
		c := connect(t, serve(t, h), "")
		c.want(event("snapshot", frame("a", 1)))
		begin := time.Now()
		h.Close()
		c.wantEnd()
		if time.Since(begin) != 0 {
			t.Fatal("took time")
		}
		if _, err := h.Subscribe(t.Context(), topicKey, "", nil); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	})
}
