package push

import (
	"errors"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// A topic that a client is held for holds no frame. Whoever comes next is told what the source says then, not
// what it said when the first one came.
func TestAbsenceIsAskedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.absent = errGone
		h := New(s, Config{})
		held, err := h.Subscribe(t.Context(), topicKey, "a-1-9", nil) // it has seen what the source doesn't hold
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
		s.set(func(s *stand) { s.absent = nil })
		if _, err := h.Subscribe(t.Context(), topicKey, "b-1-1", nil); !errors.Is(err, ErrNotReady) {
			t.Fatalf("answered from an earlier reading: %v", err)
		}
		s.set(func(s *stand) { s.err = errors.ErrUnsupported })
		if _, err := h.Subscribe(t.Context(), topicKey, "b-1-1", nil); !errors.Is(err, errors.ErrUnsupported) {
			t.Fatalf("absence without a reading: %v", err)
		}
		if !s.watched[topicKey] {
			t.Fatal("the held client's topic is no longer watched")
		}
	})
}

// The frame of an identity that is no more is dropped, even where the new one holds nothing yet.
func TestFrameOfAVanishedIdentityIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.put(topicKey, frame("a", 5))
		h := New(s, Config{})
		if r, err := h.Keep(t.Context(), topicKey); err != nil || r.Frame == nil {
			t.Fatal(r, err)
		}
		s.set(func(s *stand) { s.position = Position{Identity: "b"}; s.frames = map[Key]*Frame{} })
		if err := h.Stale(t.Context(), topicKey); err != nil {
			t.Fatal(err)
		}
		if f, ok := h.Current(topicKey); ok {
			t.Fatalf("%s is still shown", f.ID)
		}
	})
}

// While a topic is being forgotten a new one of the same key may be made. The watch is then the new one's.
func TestForgettingLeavesTheWatchToASuccessor(t *testing.T) {
	s := newStand("a")
	s.put(topicKey, frame("a", 1))
	h := New(s, Config{})
	if _, err := h.Keep(t.Context(), topicKey); err != nil {
		t.Fatal(err)
	}
	old := h.lookup(topicKey)
	if !old.first.TryAcquire(1) { // stops the sweep after it has taken the topic out
		t.Fatal("somebody is at it")
	}
	old.used = 0
	swept := make(chan struct{})
	go func() { h.sweep(time.Now()); close(swept) }()
	for h.lookup(topicKey) == old {
		runtime.Gosched()
	}
	if _, err := h.Keep(t.Context(), topicKey); err != nil {
		t.Fatal(err)
	}
	old.first.Release(1)
	<-swept
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.Topics() != 1 || !s.watched[topicKey] {
		t.Fatalf("%d topics, watched: %v", h.Topics(), s.watched)
	}
}

// Topics that no stream uses are bounded; those in use aren't touched.
func TestMaxTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		h := New(s, Config{MaxTopics: 3})
		used := Key{"ns", "used"}
		s.put(used, frame("a", 1))
		sub, err := h.Subscribe(t.Context(), used, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		for i := range 10 {
			k := Key{"ns", strconv.Itoa(i)}
			s.put(k, frame("a", 1))
			if _, err := h.Keep(t.Context(), k); err != nil {
				t.Fatal(err)
			}
		}
		h.sweep(time.Now())
		if n := h.Topics(); n != 4 || len(s.watched) != 4 || !s.watched[used] {
			t.Fatalf("%d topics, watched: %v", n, s.watched)
		}
	})
}
