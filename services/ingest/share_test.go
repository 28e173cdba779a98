package ingest

import (
	"fmt"
	"testing"
)

func TestShare(t *testing.T) {
	const partitions = 32
	owners := func(members ...string) []string {
		out := make([]string, partitions)
		for _, m := range members {
			for p, mine := range share(m, members, partitions) {
				if mine && out[p] != "" {
					t.Fatalf("p%02d is %s's and %s's", p, out[p], m)
				}
				if mine {
					out[p] = m
				}
			}
		}
		for p, m := range out {
			if m == "" {
				t.Fatalf("p%02d is nobody's of %v", p, members)
			}
		}
		return out
	}
	three, two := owners("a", "b", "c"), owners("a", "c")
	count := map[string]int{}
	for p := range three {
		count[three[p]]++
		if three[p] != "b" && three[p] != two[p] {
			t.Errorf("p%02d moved from %s to %s although neither left", p, three[p], two[p])
		}
	}
	for m, n := range count {
		if n < 4 || n > 20 {
			t.Errorf("%s has %d of %d", m, n, partitions)
		}
	}
	if got := fmt.Sprint(share("gone", []string{"a"}, 2)); got != "[false false]" {
		t.Errorf("who isn't a member owns %s", got)
	}
}

func TestAttachable(t *testing.T) {
	for _, c := range []struct {
		name                     string
		position, dropped, start uint64
		want                     bool
	}{
		{"nothing was ever dropped", 9, 0, 10, true},
		{"a message from before the main reader's start may be missing", 8, 0, 10, false},
		{"all that was dropped was read", 20, 20, 10, true},
		{"one that was dropped wasn't read", 19, 20, 10, false},
	} {
		if got := attachable(c.position, c.dropped, c.start); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestDueScore(t *testing.T) {
	for ns, want := range map[int64]int64{1_000_000_000: 1000, 1_000_000_001: 1001, 1_000_999_999: 1001, 1_001_000_000: 1001} {
		if got := dueScore(unixNano(ns), unixNano(999_999_999)); got != want {
			t.Errorf("%d ns lies ahead and is due at %d ms, want %d", ns, got, want)
		}
		if got := dueScore(unixNano(ns), unixNano(ns)); got != ns/1_000_000 {
			t.Errorf("%d ns has come and is due at %d ms", ns, got)
		}
	}
}

func TestBatchName(t *testing.T) {
	for subject, want := range map[string]string{
		"headway.log.7.ns.b.tier.2.progress": "ns.b", "headway.log.7.ns.b.batch": "ns.b", "headway.log.7.ns.b": "", "x": "", "": "",
	} {
		if got := batchName(subject); got != want {
			t.Errorf("%q: %q, want %q", subject, got, want)
		}
	}
}
