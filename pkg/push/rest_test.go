package push

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// resting counts how often it was told to rest.
type resting struct {
	text
	rests *atomic.Int64
}

func (r resting) Rest() { r.rests.Add(1) }

// A content rests only while its topic has no stream and wasn't asked for lately.
func TestContentRestsWhileUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, rests := newStand("a"), new(atomic.Int64)
		f := frame("a", 1)
		f.Content = resting{f.Content.(text), rests}
		s.put(topicKey, f)
		h := New(s, Config{})
		c := connect(t, serve(t, h), "")
		c.want(event("snapshot", frame("a", 1)))
		none := func(what string) {
			t.Helper()
			synctest.Wait()
			if rests.Load() != 0 {
				t.Fatal("it rested " + what)
			}
		}
		time.Sleep(20 * time.Second)
		none("beside a stream")
		_ = c.conn.Close()
		for range 20 {
			time.Sleep(time.Second)
			if _, kept := h.Current(topicKey); !kept {
				t.Fatal("it isn't kept")
			}
		}
		none("while it was asked for")
		time.Sleep(restAfter)
		none("too early")
		time.Sleep(2*time.Second + 1) // the next repair
		synctest.Wait()
		if rests.Load() == 0 {
			t.Fatal("it doesn't rest")
		}
	})
}
