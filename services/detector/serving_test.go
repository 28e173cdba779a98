package detector

import "testing"

// Rule 17: a version that doesn't serve announces nothing and reads no entries, even if it loses the role in the middle of a
// round.
func TestRule17OnlyTheServingVersionAnnounces(t *testing.T) {
	for _, c := range []struct {
		what    string
		another func(asked int) bool
		reads   int
		ids     int
	}{
		{"another serves", func(int) bool { return true }, 0, 0},
		{"another begins to, once the due entries are read", func(asked int) bool { return asked > 1 }, 1, 0},
		{"this one serves", nil, 1, 1},
	} {
		b := newBench(t)
		b.store.put(3, "b", stuck("b"))
		b.store.another = c.another
		if err := b.round(t.Context(), b.store, 0); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if got := b.events.ids(); b.store.reads != c.reads || len(got) != c.ids {
			t.Errorf("%s: %d reads, announced %v", c.what, b.store.reads, got)
		}
		if err := b.Ready(); err != nil {
			t.Errorf("%s: not ready: %v", c.what, err)
		}
	}
}
