package push

import (
	"net/http/httptest"
	"testing"
)

// Every event that is written counts, and so does every frame that a client never gets because a newer one was there.
func TestWrittenAndSkipped(t *testing.T) {
	s := newStand("a")
	s.put(topicKey, frame("a", 1))
	h := New(s, Config{})
	subscribe := func(last string) (advance func(written, skipped uint64)) {
		sub, err := h.Subscribe(t.Context(), topicKey, last, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sub.Close)
		out := &Writer{hub: h, w: httptest.NewRecorder()}
		return func(written, skipped uint64) {
			t.Helper()
			if _, err := sub.advance(out, sub.topic.state.Load()); err != nil {
				t.Fatal(err)
			}
			if w, s := h.Written(); w != written || s != skipped {
				t.Errorf("%d events were written and %d frames skipped, want %d and %d", w, s, written, skipped)
			}
		}
	}
	repair := func() { // reads again what it has
		for _, topic := range h.inUse(true) {
			topic.reading(topic.state.Load().read)
		}
	}
	first := subscribe("")
	first(1, 0)
	first(1, 0) // nothing new
	repair()
	h.Publish(topicKey, frame("a", 2))
	repair()
	first(2, 0)
	for seq := uint64(3); seq <= 6; seq++ {
		h.Publish(topicKey, frame("a", seq))
		h.Publish(topicKey, frame("a", seq)) // a repeat is no frame of its own
	}
	first(3, 3)
	late := subscribe("") // it never waited for what was before
	late(4, 3)
	resumed := subscribe("a-1-6")
	resumed(4, 3)
	h.Publish(topicKey, frame("a", 7))
	h.Publish(topicKey, &Frame{Identity: "a", Seq: 8, ID: "a-1-8", Content: text{json: "{}", final: true}})
	resumed(5, 4)
	first(6, 5)
	late(7, 6)
	ended := subscribe("")
	ended(9, 6) // the snapshot, and the end
}
