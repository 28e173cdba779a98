package push

import (
	"testing"
	"testing/synctest"
	"time"
)

// ahead connects a client that has seen 9 to a hub whose source holds 5.
func ahead(t *testing.T) (*stand, *Hub, *client) {
	t.Helper()
	s := newStand("a")
	s.put(topicKey, frame("a", 5))
	s.position.Watermark = time.Now()
	h := New(s, Config{Heartbeat: time.Hour})
	return s, h, connect(t, serve(t, h), "a-1-9")
}

// silent reports what the client gets within d; it must be nothing.
func silent(t *testing.T, c *client, d time.Duration) {
	t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(d))
	if got, err := c.event(); err == nil {
		t.Fatalf("got %q while it had to be held", got)
	}
}

func TestRule14HubNeverLowersAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.put(topicKey, frame("a", 9))
		h := New(s, Config{Heartbeat: time.Hour})
		p := serve(t, h)
		c := connect(t, p, "")
		c.want(event("snapshot", frame("a", 9)))
		s.set(func(s *stand) { s.frames = map[Key]*Frame{}; s.position = Position{Identity: "a"} }) // wiped
		h.Repair()
		synctest.Wait()
		for n := uint64(1); n < 9; n++ { // rebuilt
			s.put(topicKey, frame("a", n))
			h.Publish(topicKey, frame("a", n))
		}
		h.Repair()
		synctest.Wait()
		connect(t, p, "").want(event("snapshot", frame("a", 9)))
		s.put(topicKey, frame("a", 10))
		h.Publish(topicKey, frame("a", 10))
		c.want(event("update", frame("a", 10)))
		s.set(func(s *stand) { s.position.Identity = "b" })
		s.put(topicKey, frame("b", 1)) // another stream begins anew
		h.Repair()
		c.want(event("update", frame("b", 1)))
	})
}

func TestRule14ClientAheadIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, c := ahead(t)
		s.set(func(s *stand) { s.position.Complete = false; s.position.Watermark = time.Now().Add(time.Hour) })
		silent(t, c, 59*time.Minute) // an incomplete partition never frees it by its watermark
	})
}

func TestRule14HeldClientGetsComments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.put(topicKey, frame("a", 5))
		c := connect(t, serve(t, New(s, Config{})), "a-1-9")
		c.want(":")
		c.want(":")
	})
}

func TestRule14HintReleasesOnlyByBeingNewEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h, c := ahead(t)
		h.Publish(topicKey, frame("a", 8))
		synctest.Wait()
		h.Publish(topicKey, frame("a", 9)) // what the client has: it is current now, nothing is sent
		synctest.Wait()
		s.put(topicKey, frame("a", 10))
		h.Publish(topicKey, frame("a", 10))
		c.want(event("update", frame("a", 10)))
	})
}

func TestRule14NewerHintIsTheSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, c := ahead(t)
		synctest.Wait()
		h.Publish(topicKey, frame("a", 12))
		c.want(event("snapshot", frame("a", 12)))
	})
}

func TestRule14ReleasedByCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, c := ahead(t)
		time.Sleep(3 * time.Second)
		s.set(func(s *stand) { s.position.Cursor = 8 })
		time.Sleep(3 * time.Second)
		changed := time.Now()
		s.set(func(s *stand) { s.position.Cursor = 9 }) // the view is still at 5: the client's id was no revision of it
		c.want(event("snapshot", frame("a", 5)))
		if d := time.Since(changed); d > time.Second {
			t.Fatalf("released after %v", d)
		}
	})
}

func TestRule14ForgedIDIsFreedByWatermark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, c := ahead(t)
		connected := time.Now()
		s.set(func(s *stand) { s.position.Watermark = connected.Add(5 * time.Second) }) // exactly the slack isn't later
		arrived := make(chan time.Time, 1)
		go func() {
			if _, err := c.event(); err == nil {
				arrived <- time.Now()
			}
		}()
		time.Sleep(10 * time.Second)
		changed := time.Now()
		s.set(func(s *stand) { s.position.Watermark = connected.Add(5*time.Second + tick) })
		if at := <-arrived; at.Before(changed) || at.Sub(changed) > time.Second {
			t.Fatalf("released %v after the watermark passed the slack", at.Sub(changed))
		}
	})
}

func TestRule14HeldWhileNothingIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		s.position.Complete = false
		h := New(s, Config{Heartbeat: time.Hour})
		c := connect(t, serve(t, h), "a-1-9")
		time.Sleep(3*time.Second + tick) // not at a look of the hub: it could see the 9 alone, and then the 11 would be an update
		s.put(topicKey, frame("a", 9))
		s.put(topicKey, frame("a", 11))
		c.want(event("snapshot", frame("a", 11)))
	})
}

func TestRule14AnotherIdentityIsNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, c := ahead(t)
		synctest.Wait()
		s.set(func(s *stand) { s.position = Position{Identity: "b", Complete: true}; s.frames = map[Key]*Frame{} })
		s.put(topicKey, frame("b", 2))
		c.want(event("snapshot", frame("b", 2)))
	})
}
