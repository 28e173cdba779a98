package ingest

import (
	"errors"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// A refused message is a fact about its batch: it changes the view's revision, creates a view if there is none, and reappears
// after a rebuild from the log.
func TestRefusedMessagesAreFolded(t *testing.T) {
	s := newStand(t)
	stop := s.start(nil)
	s.fill(4)
	last := s.poison("b0")
	s.poison("b0") // the same bytes again: stored later
	alone := s.say("unheard", "tier.1", diagnostics.TypeTierV1, `{"tier_num":1,"status":"NONSENSE"}`)
	want := s.offline()
	s.eventually("whole", func() error { return s.whole(want) })
	known, unheard := want[viewstore.Key{Namespace: "n", Batch: "b0"}], want[viewstore.Key{Namespace: "n", Batch: "unheard"}]
	if known.Revision <= last {
		t.Errorf("the revision %d isn't that of the second refusal, after %d", known.Revision, last)
	}
	if unheard == nil || unheard.Revision != alone {
		t.Fatalf("no view of a batch of which all was refused: %+v", unheard)
	}
	stop()
	for _, batch := range []string{"b0", "unheard"} {
		if n := s.rdb.Del(t.Context(), s.key(s.log.Partition("n", batch), "v:n:"+batch)).Val(); n != 1 {
			t.Fatal(errors.New("there was no view"))
		}
	}
	s.poison("b0")
	s.poison("unheard")
	s.start(nil)
	want = s.offline()
	s.eventually("whole again", func() error { return s.whole(want) })
	if n := len(s.letters()); n != 5 {
		t.Errorf("%d dead letters", n)
	}
}
