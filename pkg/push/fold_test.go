package push

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func ofFold(fold int, seq uint64) *Frame {
	return &Frame{
		Identity: "a", Fold: fold, Seq: seq, ID: fmt.Sprintf("a-%d-%d", fold, seq),
		Content: text{json: fmt.Sprintf(`{"n":%d,"fold":%d}`, seq, fold)},
	}
}

// Rule 17: another fold version's state of the same sequence follows, whoever brings it; so does one of a lower sequence
// once a reading shows that its version has read all that was shown. A client is shown nothing lower.
func TestRule17AnotherFoldVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand("a")
		at := func(fold int, cursor uint64, f *Frame) {
			s.put(topicKey, f)
			s.set(func(s *stand) { s.position.Fold, s.position.Cursor = fold, cursor })
		}
		h := New(s, Config{Heartbeat: time.Hour})
		at(1, 9, ofFold(1, 9))
		c := connect(t, serve(t, h), "")
		c.want(event("snapshot", ofFold(1, 9)))
		holds := func(what, id string) {
			t.Helper()
			h.Repair()
			synctest.Wait()
			if f, ok := h.Current(topicKey); !ok || f.ID != id {
				t.Fatalf("%s: the hub holds %+v", what, f)
			}
		}
		at(2, 8, ofFold(2, 7))
		holds("two has yet to come to 9", "a-1-9")
		at(2, 9, ofFold(2, 9))
		holds("two has come to it", "a-2-9")
		c.want(event("update", ofFold(2, 9)))
		at(1, 9, ofFold(1, 6))
		holds("one sees it otherwise: its last change is 6", "a-1-6")
		h.Publish(topicKey, ofFold(1, 10))
		c.want(event("update", ofFold(1, 10)))
	})
}
