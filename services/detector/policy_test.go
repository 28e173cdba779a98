package detector

import (
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// While a new policy is rolled out, a detector leaves entries to detectors that have the policy of the partition's owner.
// Otherwise it would announce by other thresholds, or move the entry to a time that only suits its own. An entry that nobody
// judges for a minute is judged by any detector.
func TestAnotherPolicyIsLeftToOthers(t *testing.T) {
	b := newBench(t)
	k := b.store.put(3, "b", stuck("b"))
	owner := func(hash string) { b.store.parts[3].fence.PolicyHash = hash }
	round := func() {
		t.Helper()
		if err := b.round(t.Context(), b.store, 0); err != nil {
			t.Fatal(err)
		}
	}
	owner("another")
	round()
	b.store.pass(patience - time.Millisecond)
	round()
	if got := b.events.ids(); len(got) != 0 || len(b.store.moved(k)) != 0 {
		t.Errorf("under another policy it announced %v and moved the entry by %v", got, b.store.moved(k))
	}
	b.store.pass(time.Millisecond)
	round()
	if got := b.events.ids(); len(got) != 1 || len(b.store.moved(k)) != 1 {
		t.Errorf("nobody else judged the entry, and it announced %v and moved the entry by %v", got, b.store.moved(k))
	}
	for _, hash := range []string{policy.Default().Hash(), ""} { // a fence without a hash has no policy of its own
		b := newBench(t)
		b.store.put(3, "b", stuck("b"))
		b.store.parts[3].fence.PolicyHash = hash
		if err := b.round(t.Context(), b.store, 0); err != nil || len(b.events.ids()) != 1 {
			t.Errorf("policy %q: announced %v, %v", hash, b.events.ids(), err)
		}
	}
}

// An entry whose score can't be parsed is judged at once.
func TestUnreadableScoreIsJudged(t *testing.T) {
	b := newBench(t)
	if b.leftToOthers(t.Context(), viewstore.Fence{PolicyHash: "another"}, "soon") {
		t.Error("an entry without a readable score was left alone for ever")
	}
}
